"""Values kept between runs by key: `load` and `save` must work, `load_cached` and `save_cached` may fail."""

import logging
from datetime import UTC, datetime

from botctl.domain.errors import BotError
from botctl.store.models import KeyValue

log = logging.getLogger(__name__)


def load(key: str) -> tuple[str, datetime] | None:
    """The value of `key` and when it was saved; None without one."""
    row = KeyValue.get_or_none(KeyValue.key == key)
    return None if row is None else (row.value, row.saved_at)


def save(key: str, value: str, at: datetime | None = None) -> None:
    moment = at or datetime.now(UTC)
    KeyValue.insert(key=key, value=value, saved_at=moment).on_conflict(
        conflict_target=[KeyValue.key], update={KeyValue.value: value, KeyValue.saved_at: moment}
    ).execute()


def load_cached(key: str) -> tuple[str, datetime] | None:
    """As `load`, for values that can be fetched again: an unreadable table keeps no stop from being sold."""
    try:
        return load(key)
    except BotError as error:
        log.warning("%s can't be loaded: %s", key, error)
        return None


def save_cached(key: str, value: str, at: datetime | None = None) -> None:
    """As `save`, for values that can be fetched again: an answer of the exchange is used even if it can't be saved."""
    try:
        save(key, value, at)
    except BotError as error:
        log.warning("%s can't be saved: %s", key, error)
