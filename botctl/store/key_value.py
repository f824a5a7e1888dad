"""Values kept between runs by key: `load` and `save` must work, `load_cached` and `save_cached` may fail."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botctl.domain.errors import BotError
from botctl.store.models import KeyValue, database

log = logging.getLogger(__name__)

LOAD = 'SELECT "value", "saved_at" FROM "memory" WHERE "key" = {}'
SAVE = (
    'INSERT INTO "memory" ("key", "value", "saved_at") VALUES ({0}, {0}, {0}) '
    'ON CONFLICT ("key") DO UPDATE SET "value" = EXCLUDED."value", "saved_at" = EXCLUDED."saved_at"'
)

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading a value raises that is damaged, or was saved by a newer botctl."""


def load(key: str) -> tuple[str, datetime] | None:
    """The value of `key` and when it was saved; None without one."""
    # A run loads two dozen values; peewee takes 0.2 ms of CPU time to put this statement together.
    row = database.execute_sql(LOAD.format(database.param), (key,)).fetchone()
    if row is None:
        return None
    try:
        value, saved_at = map(_python_value, (KeyValue.value, KeyValue.saved_at), row)
        return value, saved_at
    except UNREADABLE as error:  # its time: as if it had not been saved
        log.warning("%s is not used, because it can't be read: %s", key, error)
        return None


def _python_value(field: Any, stored: Any) -> Any:
    return field.python_value(stored)


def _db_value(field: Any, value: Any) -> Any:
    return field.db_value(value)


def save(key: str, value: str, at: datetime | None = None) -> None:
    row = (key, value, _db_value(KeyValue.saved_at, at or datetime.now(UTC)))
    database.execute_sql(SAVE.format(database.param), row)


def load_cached(key: str) -> tuple[str, datetime] | None:
    """As `load`, for values that can be fetched again: an unreadable table keeps no stop from being sold."""
    try:
        return load(key)
    except (BotError, *UNREADABLE) as error:
        log.warning("%s can't be loaded: %s", key, error)
        return None


def load_parsed[Value](key: str, parse: Callable[[str], Value]) -> tuple[Value, datetime] | None:
    """As `load_cached`, parsed. A value that does not parse is as if absent: it is had again."""
    saved = load_cached(key)
    return None if saved is None else parsed(key, saved, parse)


def load_json[Kind](key: str, kind: type[Kind]) -> Kind | None:
    """The JSON document of `key`, of this type; None without a readable one."""
    found = load_parsed(key, json.loads)
    return found[0] if found is not None and isinstance(found[0], kind) else None


def parsed[Value](
    key: str, saved: tuple[str, datetime], parse: Callable[[str], Value]
) -> tuple[Value, datetime] | None:
    """A saved value, None when it does not parse."""
    try:
        return parse(saved[0]), saved[1]
    except UNREADABLE as error:
        log.warning("%s is not used, because it can't be read: %s: %.200s", key, type(error).__name__, error)
        return None


def save_cached(key: str, value: str, at: datetime | None = None) -> None:
    """As `save`, for values that can be fetched again: an answer of the exchange is used even if it can't be saved."""
    try:
        save(key, value, at)
    except BotError as error:
        log.warning("%s can't be saved: %s", key, error)
