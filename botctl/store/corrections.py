"""Corrections of trades and orders from the exchange's records or by the owner's word, each with its audit event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from peewee import IntegrityError

from botctl.domain.costs import calculate_pnl
from botctl.domain.errors import BotError, OutcomeUnknown, Refused
from botctl.domain.money import format_decimal, price_of
from botctl.domain.orders import ACTIVE, Execution, ExitReason, TradeStatus
from botctl.store.broken_rows import all_rows, get_trade, load_row, load_rows
from botctl.store.evidence import gone_markets
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Event, Order, Trade, database
from botctl.store.rows import OrderRow
from botctl.store.trade_changes import FILLED_LATE, RECOVERED, change_trade, event_columns, stops_after_entry

OUTRANKED = "own order canceled"
"""The event of an order of the owner that an exit has canceled."""
FORGOTTEN = "forgotten"
"""The event of a trade that ended by its owner's word."""
WRITTEN_OFF = ("dust", "shrunk", "sold outside", "closed", FORGOTTEN)
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
    return all_rows(Order.select(Order, Trade).join(Trade).order_by(Order.id))


def load_trades_by_tag() -> dict[str, Trade]:
    """Every trade by the tag in its client order ids."""
    return {trade.mark: trade for trade in all_rows(Trade.select().order_by(Trade.id))}


def load_written_off() -> dict[int, Decimal]:
    """What each trade's events took off it without an order: sold outside, gone, or left as dust.

    What a closed trade still held was written off as well, unless it was opened again.
    """
    amounts: dict[int, Decimal] = {}
    for event in load_rows(Event.select().where(Event.kind.in_(WRITTEN_OFF)).order_by(Event.id)):
        before, after = event.before.get("amount"), event.after.get("amount")
        if before is None or event.trade_id is None:
            continue
        left = Decimal(0) if event.kind in ("closed", FORGOTTEN) else Decimal(after)
        amounts[event.trade_id] = amounts.get(event.trade_id, Decimal(0)) + Decimal(before) - left
    return amounts


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
            trade = get_trade(order.trade_id)
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
        **stops_after_entry(trade, stop),
        "high_price": max(float(price), trade.high_price or 0.0),
    }
    if trade.entry_time is None:
        columns |= {"entry_time": execution.at, "checked_at": execution.at, "seen_at": None}
        columns |= {"entry_order_id": execution.exchange_order_id, "exit_time": None}
    if closed:
        ended_outside = trade.exit_reason == ExitReason.EXTERNAL
        columns |= {"exiting": None if ended_outside else trade.exit_reason, "exit_reason": None}
        columns |= {"exit_time": None, "exit_price": None, "pnl": None}
    return columns


def load_forgettable(trade_id: int) -> Trade:
    """An open trade without an unsettled order. Raises Refused or OutcomeUnknown."""
    trade: Trade | None = load_row(Trade.select().where(Trade.id == trade_id))
    if trade is None:
        raise Refused(f"there is no trade {trade_id}", hint="see `botctl positions`")
    if trade.status not in ACTIVE:
        raise Refused(f"trade {trade_id} ({trade.symbol}) is {trade.status}, not open", hint="see `botctl positions`")
    if Order.select().where(UNSETTLED_ORDERS, Order.trade == trade).exists():
        hint = "run `botctl check-positions`, which looks it up, then try again; see `botctl orders --unsettled`"
        raise OutcomeUnknown(f"trade {trade_id} ({trade.symbol}) has an order whose ending is unknown", hint=hint)
    return trade


def forget_trade(trade_id: int, price: Decimal | None, now: datetime) -> None:
    """Close a trade by its owner's word, as sold at `price` without a fee; without a price its P&L is unknown.

    Raises as `load_forgettable`.
    """
    with database.atomic("IMMEDIATE"):
        trade = load_forgettable(trade_id)
        amount, sold = trade.amount, trade.sold_amount + trade.amount
        proceeds = trade.exit_proceeds + (Decimal(0) if price is None else amount * price)
        columns: dict[str, Any] = {
            "status": TradeStatus.CLOSED, "exit_reason": ExitReason.EXTERNAL, "exit_time": now, "exiting": None,
        }  # fmt: skip
        if price is None:
            columns["amount"] = trade.sold_amount or trade.entry_amount or amount
        else:
            columns |= {"amount": sold, "sold_amount": sold, "exit_proceeds": proceeds}
            columns["exit_price"] = price_of(proceeds, sold)
            if trade.entry_cost is not None and trade.entry_fee is not None:
                columns["pnl"] = calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, trade.exit_fee)
        at = "" if price is None else f", sold at {format_decimal(price)}"
        why = f"by the owner's word: {format_decimal(amount)} {trade.asset}{at}"
        change_trade(trade, now, FORGOTTEN, why, **columns)
    gone_markets.forget(trade_id)


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
