"""Corrections of trades and orders from the exchange's records, each with its audit event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from peewee import IntegrityError

from botctl.domain.errors import BotError
from botctl.domain.money import format_decimal, price_of
from botctl.domain.orders import Execution, ExitReason, TradeStatus
from botctl.store.journal import change_trade, event_columns
from botctl.store.models import ACTIVE_TRADES, Event, Order, Trade, database
from botctl.store.rows import OrderRow

RECOVERED = "recovered"
FILLED_LATE = "filled late"
"""The event of a canceled buy that has filled after all."""
OUTRANKED = "own order canceled"
"""The event of an order of the owner that an exit has canceled."""


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


def apply_corrections(corrections: Sequence[Correction], now: datetime) -> None:
    with database.atomic("IMMEDIATE"):
        for correction in corrections:
            trade = _correct_trade(correction, now)
            for order, columns in correction.orders:
                _correct_order(trade, order, columns, correction.why, now)


def book_late_entry(order: OrderRow, execution: Execution, now: datetime, *, stop: float) -> str:
    """More of a canceled buy was filled than was known: open its trade with a stop, or enlarge it. Returns a note.

    A trade that was closed meanwhile is open again, and its exit goes on. Raises BotError when the asset has another
    active trade.
    """
    late, asset = f"{format_decimal(execution.filled - order.filled)} of {order.symbol}", order.symbol.split("/")[0]
    try:
        with database.atomic("IMMEDIATE"):
            trade = Trade.get_by_id(order.trade_id)
            note = f"the canceled buy of trade {trade.id} was filled late: {late}"
            change_trade(trade, now, FILLED_LATE, note, order, **_late_entry(trade, order, execution, stop))
            price = price_of(execution.cost, execution.filled)
            Order.update(
                filled=execution.filled, cost=execution.cost, fee=execution.fee, average_price=price,
                inexact=not execution.exact,
            ).where(Order.id == order.id).execute()  # fmt: skip
    except IntegrityError as error:
        other = Trade.get_or_none(ACTIVE_TRADES, Trade.asset == asset)
        which = "another trade" if other is None else f"trade {other.id}"
        raise BotError(
            f"the canceled buy {order.client_order_id} was filled late: {late}, while {which} of {asset} is active",
            hint=f"they are not guarded: sell them at Kraken, or close {which}, and the next tick guards them",
        ) from error
    return note


def record_outranked_order(trade_id: int, why: str, now: datetime) -> None:
    Event.create(at=now, kind=OUTRANKED, trade_id=trade_id, before={}, after={}, why=why)


def _late_entry(trade: Trade, order: OrderRow, execution: Execution, stop: float) -> dict[str, Any]:
    """The trade's columns with what its buy has filled since it was settled."""
    more, price = execution.filled - order.filled, price_of(execution.cost, execution.filled)
    closed = trade.status == TradeStatus.CLOSED  # then `amount` is what it has sold
    columns: dict[str, Any] = {
        "status": TradeStatus.OPEN,
        "amount": (trade.amount if trade.status == TradeStatus.OPEN else Decimal(0)) + more,
        "entry_amount": (trade.entry_amount or order.filled) + more,
        "entry_cost": (trade.entry_cost or Decimal(0)) + execution.cost - (order.cost or Decimal(0)),
        "entry_fee": (trade.entry_fee or Decimal(0)) + execution.fee - (order.fee or Decimal(0)),
        "entry_price": price,
        "stop_loss_price": max(stop, trade.stop_loss_price or stop),
        "high_price": max(float(price), trade.high_price or 0.0),
    }
    if trade.opened_at is None:
        columns |= {"opened_at": execution.at, "checked_at": execution.at}
        columns |= {"entry_order_id": execution.exchange_order_id, "closed_at": None}
    if closed:
        ended_outside = trade.exit_reason == ExitReason.EXTERNAL
        columns |= {"exiting": None if ended_outside else trade.exit_reason, "exit_reason": None}
        columns |= {"closed_at": None, "exit_price": None, "pnl": None}
    return columns


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
