"""The orders that ended before they were filled completely, for as long as the exchange is asked for them once more."""

import json
from datetime import datetime

from botctl.domain.freshness import is_ahead
from botctl.store import key_value
from botctl.store.broken_rows import load_rows
from botctl.store.models import Order
from botctl.store.rows import OrderRow

KEY = "orders.canceled"


def add_canceled_order(order_id: int) -> None:
    """The caller holds the transaction."""
    key_value.save(KEY, json.dumps([*_load(), order_id]))


def load_canceled_orders(*, before: datetime) -> list[OrderRow]:
    """Those that were settled before this moment, oldest first, and those of a clock that was ahead."""
    if not (ids := _load()):
        return []
    rows = load_rows(Order.select().where(Order.id.in_(ids), Order.settled_at.is_null(False)).order_by(Order.id))
    return [row for row in rows if (at := row.settled_at) is not None and (at < before or is_ahead(at, before))]


def forget_canceled_order(order_id: int) -> None:
    key_value.save(KEY, json.dumps([each for each in _load() if each != order_id]))


def _load() -> list[int]:
    saved = key_value.load(KEY)
    found = (
        None if saved is None else key_value.parsed(KEY, saved, lambda text: [int(each) for each in json.loads(text)])
    )
    return [] if found is None else found[0]
