"""JSON from elsewhere: an object that names a key twice says two things, so it is refused."""

import json
from collections.abc import Sequence
from typing import Any


def parse_json(text: str | bytes, **options: Any) -> Any:
    """As json.loads. Raises ValueError also for an object with a key twice, RecursionError for one too deep."""
    return json.loads(text, object_pairs_hook=_object, **options)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r:.60} twice")
    return whole
