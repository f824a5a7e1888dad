"""Columns that store values exactly: decimals and times as text."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import peewee
from peewee import Field


def parse_moment(text: str) -> datetime:
    """An aware datetime from ISO 8601. Raises ValueError, also for one without a time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


class TextField(peewee.TextField):
    """Any text. Bytes that are none are a wrong value of their row; peewee's own would fail the whole query."""

    def python_value(self, value: Any) -> str | None:
        if isinstance(value, bytes):
            return decode_leniently(value)
        return None if value is None else str(value)


def decode_leniently(stored: bytes) -> str:
    """The text with `\\xff` for a byte that is no UTF-8."""
    return stored.decode(errors="backslashreplace")


class DecimalField(peewee.TextField):
    """A Decimal as its exact text. peewee's own is a REAL on SQLite and rounds 12345678901.12345678."""

    def db_value(self, value: Decimal | None) -> str | None:
        return None if value is None else str(value)

    def python_value(self, value: str | None) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcField(peewee.TextField):
    """An aware datetime as ISO 8601 text in UTC, always of one length, so that text order is time order."""

    def db_value(self, value: datetime | None) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> datetime | None:
        return None if value is None else parse_moment(value)


class JsonField(peewee.TextField):
    """A JSON document as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, default=str)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


# With the type of their values; in an optional one None means unknown, never zero.
decimal_field: "Callable[..., Field[Decimal]]" = DecimalField
optional_decimal_field: "Callable[[], Field[Decimal | None]]" = partial(DecimalField, null=True)
utc_field: "Callable[..., Field[datetime]]" = UtcField
optional_utc_field: "Callable[[], Field[datetime | None]]" = partial(UtcField, null=True)
json_field: "Callable[[], Field[Any]]" = JsonField
