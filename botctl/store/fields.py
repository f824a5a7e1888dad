"""Columns that store values exactly: decimals and times as text."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from peewee import Field, TextField


class DecimalField(TextField):
    """A Decimal as its exact text. peewee's own is a REAL on SQLite and rounds 12345678901.12345678."""

    def db_value(self, value: Decimal | None) -> str | None:
        return None if value is None else str(value)

    def python_value(self, value: str | None) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcField(TextField):
    """An aware datetime as ISO 8601 text in UTC, always of one length, so that text order is time order."""

    def db_value(self, value: datetime | None) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class JsonField(TextField):
    """A JSON document as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, default=str)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


def decimal_field(**options: Any) -> "Field[Decimal]":
    return DecimalField(**options)


def optional_decimal_field() -> "Field[Decimal | None]":
    """None means unknown, never zero."""
    return DecimalField(null=True)


def utc_field(**options: Any) -> "Field[datetime]":
    return UtcField(**options)


def optional_utc_field() -> "Field[datetime | None]":
    return UtcField(null=True)


def json_field() -> "Field[Any]":
    return JsonField()
