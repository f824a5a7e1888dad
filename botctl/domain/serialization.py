"""A result as one JSON document. Its fields are the document's, but for those that say otherwise."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

FOR_PEOPLE = {"json": False}
"""Marks a field that is said in words and is no part of the JSON document."""
MERGED = {"merged": True}
"""Marks a field whose own fields stand in the document in its place."""


def written_as(name: str) -> dict[str, str]:
    """Marks a field that has another name in the JSON document."""
    return {"json": name}


def to_json(value: Any) -> Any:
    """A result as JSON has it: decimals and prices as text without exponents, times as ISO 8601 UTC.

    A class with `JSON_FIELDS` is written with these fields alone, in their order.
    """
    if is_dataclass(value) and not isinstance(value, type):
        document: dict[str, Any] = {}
        known = {field.name: field.metadata for field in fields(value)}
        for name in getattr(value, "JSON_FIELDS", known):
            format_decimal = to_json(getattr(value, name))
            if known[name].get("merged"):
                document |= format_decimal
            elif key := known[name].get("json", name):
                document[key] = format_decimal
        return document
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, str) else value
