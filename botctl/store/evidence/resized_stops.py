"""What stops that were resized have sold by their records and fills, and since when these say so."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from botctl.domain.freshness import is_ahead
from botctl.store import key_value

KEY = "orders.resized"
KEPT_FOR = timedelta(days=7)


class Shown(NamedTuple):
    filled: Decimal
    since: datetime


def note_resized(client_order_id: str, filled: Decimal, now: datetime) -> datetime:
    """Since when this stop is shown to have sold `filled`; `now` where it was not, or by a clock that was ahead."""
    saved = key_value.load_parsed(KEY, _parse)
    seen = {} if saved is None else saved[0]
    known = seen.get(client_order_id)
    if known is not None and known.filled == filled and not is_ahead(known.since, now):
        return known.since
    recent = {each: shown for each, shown in seen.items() if now - shown.since < KEPT_FOR}
    key_value.save_cached(KEY, _as_text(recent | {client_order_id: Shown(filled, now)}), now)
    return now


def _parse(text: str) -> dict[str, Shown]:
    return {
        str(each): Shown(Decimal(filled), datetime.fromisoformat(since))
        for each, (filled, since) in json.loads(text).items()
    }


def _as_text(seen: dict[str, Shown]) -> str:
    return json.dumps({each: (str(shown.filled), shown.since.isoformat()) for each, shown in seen.items()})
