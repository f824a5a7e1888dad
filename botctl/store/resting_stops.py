"""Stops that rest at the exchange: which there are, and how they end or move. The journal places them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import batched

from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason, OrderState, TradeStatus, advance
from botctl.domain.stops import find_lack
from botctl.store.broken_rows import get_trade, load_rows
from botctl.store.models import ACTIVE_TRADES, RESTING_ORDERS, Event, Order, Trade, database
from botctl.store.rows import OrderRow
from botctl.store.trade_changes import change_trade, event_columns, set_columns

MOVED = "resting stop moved"
MAX_IDS = 500


def load_resting_stops(trade_ids: Collection[int] | None = None) -> list[OrderRow]:
    """The stops that rest, by the journal, the oldest trade first: all, or those of these trades. Rows that can't be
    read are left out."""
    resting = Order.select().where(RESTING_ORDERS).order_by(Order.trade)
    if trade_ids is None:
        return list(load_rows(resting))
    groups = batched(sorted(trade_ids), MAX_IDS)
    return [row for ids in groups for row in load_rows(resting.where(Order.trade.in_(ids)))]


def find_unprotected(distance: float | None) -> dict[int, str]:
    """What the open trades lack whose resting stop is not as it should be, see `find_lack`, by trade. `distance` is in
    average true ranges, None where no resting stop is wanted. A trade whose exit has begun needs none."""
    if distance is None:
        return {}
    resting = {each.trade_id: (each.amount, each.trigger or Decimal(0)) for each in load_resting_stops()}
    rows = load_rows(Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id))
    lacks = {
        row.id: find_lack(row.amount, row.stop_loss_price, row.atr, distance, resting.get(row.id))
        for row in rows
        if not row.exiting
    }
    return {trade_id: lack for trade_id, lack in lacks.items() if lack is not None}


def has_lost_stops(since: datetime) -> bool:
    """Whether a stop that never arrived, as far as is known, was given up since a moment: it may have surfaced late."""
    given_up = (Order.state == OrderState.ABSENT) & Order.trigger.is_null(False) & (Order.settled_at > since)
    return bool(Order.select().where(given_up).exists())


def begin_ending(orders: Sequence[OrderRow], reasons: Mapping[int, ExitReason], now: datetime) -> None:
    """Commit that these resting stops are to end, before a cancel is sent: from then on they are settled as any order.

    `reasons` has the exit of each trade that is sold whole: it goes on in the next run if this one ends.
    """
    with database.atomic("IMMEDIATE"):
        for order in orders:
            state = advance(OrderState(order.state), OrderState.ACCEPTED)
            Order.update(state=state).where(Order.id == order.id).execute()
            set_columns(order, {"state": state})
            trade, reason = get_trade(order.trade_id), reasons.get(order.trade_id)
            if reason is not None and not trade.exiting:
                why = f"the resting stop at {format_decimal(order.trigger or Decimal(0))} is canceled first"
                change_trade(trade, now, "exit intended", why, order, exiting=reason)


def record_move(order: OrderRow, trigger: Decimal, reason: ExitReason, now: datetime) -> None:
    """Record that the exchange has moved a resting stop to `trigger`, and what its exit is called there."""
    changes = {"trigger": trigger, "reason": reason}
    with database.atomic("IMMEDIATE"):
        trade, before = get_trade(order.trade_id), {"trigger": order.trigger, "reason": order.reason}
        Order.update(**changes).where(Order.id == order.id).execute()
        set_columns(order, changes)
        Event.create(**{**event_columns(now, MOVED, trade, before, changes, "", order), "trade_id": None})
