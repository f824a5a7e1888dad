"""Corrections of trades and orders from the exchange's records or by the owner's word, each with its audit event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.costs import calculate_pnl
from botctl.domain.errors import OutcomeUnknown, Refused
from botctl.domain.money import format_decimal, price_of
from botctl.domain.orders import ACTIVE, ExitReason, TradeStatus
from botctl.store import gone_markets
from botctl.store.journal import change_trade, event_columns
from botctl.store.models import UNSETTLED_ORDERS, Event, Order, Trade, database

RECOVERED = "recovered"
FORGOTTEN = "forgotten"
"""The event of a trade that ended by its owner's word."""


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


def load_forgettable(trade_id: int) -> Trade:
    """An open trade without an unsettled order. Raises Refused or OutcomeUnknown."""
    trade: Trade | None = Trade.get_or_none(Trade.id == trade_id)
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
            "status": TradeStatus.CLOSED, "exit_reason": ExitReason.EXTERNAL, "closed_at": now, "exiting": None,
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
