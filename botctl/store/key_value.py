"""Small things kept between runs, by name: `load`, `save` what must hold, `recall`, `remember` what may be lost."""

import logging
from datetime import UTC, datetime

from botctl.domain.errors import BotError
from botctl.store.models import KeyValue

log = logging.getLogger(__name__)


def load(key: str) -> tuple[str, datetime] | None:
    """What was kept under `key`, and when; None when nothing was."""
    row = KeyValue.get_or_none(KeyValue.key == key)
    return None if row is None else (row.value, row.saved_at)


def save(key: str, value: str, at: datetime | None = None) -> None:
    """Keep `value` under `key`, in place of what was there."""
    moment = at or datetime.now(UTC)
    KeyValue.insert(key=key, value=value, saved_at=moment).on_conflict(
        conflict_target=[KeyValue.key], update={KeyValue.value: value, KeyValue.saved_at: moment}
    ).execute()


def recall(key: str) -> tuple[str, datetime] | None:
    """As `load`, for what can be had again: a table that can't be read keeps no stop from being sold."""
    try:
        return load(key)
    except BotError as error:
        log.warning("%s can't be recalled: %s", key, error)
        return None


def remember(key: str, value: str, at: datetime | None = None) -> None:
    """As `save`, for what can be had again: an answer of the exchange is not lost with the note of it."""
    try:
        save(key, value, at)
    except BotError as error:
        log.warning("%s can't be remembered: %s", key, error)
