"""Corrections of trades and orders from the exchange's records, each with its audit event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.store.journal import change_trade, event_columns
from botctl.store.models import Event, Order, Trade, database

RECOVERED = "recovered"
WRITTEN_OFF = ("dust", "shrunk", "sold outside", "closed")
"""The events that take something off a trade without an order of its own."""


@dataclass(frozen=True)
class Correction:
    """What to change on one trade and its orders: columns by name. `trade` is None, and `number` its id, for a trade
    that is missing in the database."""

    trade: Trade | None
    number: int
    columns: Mapping[str, Any]
    orders: Sequence[tuple[Order | None, Mapping[str, Any]]]
    why: str


def load_orders_with_trades() -> list[Order]:
    return list(Order.select(Order, Trade).join(Trade).order_by(Order.id))


def load_trades_by_tag() -> dict[str, Trade]:
    """Every trade by the tag in its client order ids."""
    return {trade.mark: trade for trade in Trade.select().order_by(Trade.id)}


def load_written_off() -> dict[int, Decimal]:
    """What each trade's events took off it without an order: sold outside, gone, or left as dust.

    What a closed trade still held was written off as well, unless it was opened again.
    """
    amounts: dict[int, Decimal] = {}
    for event in Event.select().where(Event.kind.in_(WRITTEN_OFF)).order_by(Event.id):
        before, after = event.before.get("amount"), event.after.get("amount")
        if before is None or event.trade_id is None:
            continue
        left = Decimal(0) if event.kind == "closed" else Decimal(after)
        amounts[event.trade_id] = amounts.get(event.trade_id, Decimal(0)) + Decimal(before) - left
    return amounts


def apply_corrections(corrections: Sequence[Correction], now: datetime) -> None:
    with database.atomic("IMMEDIATE"):
        for correction in corrections:
            trade = _correct_trade(correction, now)
            for order, columns in correction.orders:
                _correct_order(trade, order, columns, correction.why, now)


def _correct_trade(correction: Correction, now: datetime) -> Trade:
    trade, columns = correction.trade, correction.columns
    if trade is None:
        trade = Trade.create(id=correction.number, **columns)
        database.obj.advance_id_sequence(Trade._meta.table_name)
        Event.create(**event_columns(now, RECOVERED, trade, {}, columns, correction.why))
    elif columns:
        change_trade(trade, now, RECOVERED, correction.why, **columns)
    return trade


def _correct_order(trade: Trade, order: Order | None, columns: Mapping[str, Any], why: str, now: datetime) -> None:
    before = {} if order is None else {name: getattr(order, name) for name in columns}
    if order is None:
        order = Order.create(trade=trade, **columns)
    else:
        Order.update(**columns).where(Order.id == order.id).execute()
    # Without the trade's id: the columns of an event that has one are the trade's.
    Event.create(at=now, kind=RECOVERED, order_id=order.id, before=before, after=dict(columns), why=why)
