"""JSON: what others wrote, and results as documents, a field for each dataclass field unless its metadata differs."""

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

JSON_SCHEMA_VERSION = 1
"""Of the documents of `--json`: raised when a field goes or means something else. New fields leave it as it is."""
NOT_IN_JSON = {"json": False}
"""Metadata of a field that the JSON document leaves out."""
MERGED = {"merged": True}
"""Metadata of a field whose own fields take its place in the JSON document."""


def to_json(value: Any) -> Any:
    """`value` for json.dumps: decimals as text, times as ISO 8601 UTC; of a class only its JSON_FIELDS, if any."""
    if is_dataclass(value) and not isinstance(value, type):
        return _document(value)
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


def to_document(result: Any) -> Any:
    """A result as the document of `--json`: as `to_json` writes it, with `schema_version` first.

    A list stays a list, as scripts know it, and each object in it has the version.
    """
    document = to_json(result)
    if isinstance(document, list):
        return [_with_version(each) for each in document]
    return _with_version(document)


def _with_version(document: Any) -> Any:
    return {"schema_version": JSON_SCHEMA_VERSION, **document} if isinstance(document, dict) else document


def _document(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    metadata = {field.name: field.metadata for field in fields(value)}
    for name in getattr(value, "JSON_FIELDS", metadata):
        item = to_json(getattr(value, name))
        if metadata[name].get("merged"):
            document |= item
        elif key := metadata[name].get("json", name):
            document[key] = item
    return document


def parse_json(text: str | bytes, **options: Any) -> Any:
    """As json.loads, for JSON from elsewhere.

    Raises ValueError also for an object that names a key twice: it says two things. RecursionError for one too deep.
    """
    return json.loads(text, object_pairs_hook=_object, **options)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r:.60} twice")
    return whole
