"""The audit trail: every event in order, and the whole history of one trade."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial

from botctl.domain.decisions import Action
from botctl.domain.errors import BadValue
from botctl.domain.orders import OrderState, Side
from botctl.domain.symbols import quote_of
from botctl.domain.text import format_amount, format_change, format_money, format_price, format_signed, with_prices
from botctl.queries.portfolio import trade_record
from botctl.queries.results import EventView, HistoryStep, TradeHistory
from botctl.queries.slippage import Slippage, load_slippages
from botctl.store.broken_rows import load_row, load_rows
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.store.models import Decision, Event, Order, Trade
from botctl.store.resting_stops import MOVED
from botctl.store.rows import Rows

COVERED_BY_ORDERS = ("entry intended", "opened", "sold", "entry failed")
"""Events that an order shows in more detail."""


def list_events(
    *, symbol: str | None = None, since: datetime | None = None, after_id: int = 0, limit: int | None = None
) -> Rows[EventView]:
    """The newest entries, newest last. Those of the kill switch have no symbol."""
    query = Event.select().where(Event.id > after_id).order_by(Event.id.desc())
    if since is not None:
        query = query.where(Event.at >= since)
    if symbol is not None:
        trades = Trade.select(Trade.id).where(Trade.symbol == symbol)
        orders = Order.select(Order.id).where(Order.symbol == symbol)
        query = query.where(Event.trade_id.in_(trades) | Event.order_id.in_(orders))
    found = load_rows(query.limit(limit))
    rows = found[::-1]
    trade_ids = {row.trade_id for row in rows if row.trade_id is not None}
    order_ids = {row.order_id for row in rows if row.order_id is not None}
    by_trade = {row.id: row.symbol for row in Trade.select(Trade.id, Trade.symbol).where(Trade.id.in_(trade_ids))}
    by_order = {row.id: row.symbol for row in Order.select(Order.id, Order.symbol).where(Order.id.in_(order_ids))}
    views = [
        EventView(
            row.id,
            row.at,
            row.kind,
            row.trade_id,
            by_trade.get(row.trade_id or 0) or by_order.get(row.order_id or 0),
            row.before,
            row.after,
            row.why,
        )
        for row in rows
    ]
    return Rows(views, found.broken)


def explain(trade_id: int) -> TradeHistory:
    """Why a trade was bought, what moved its stop, why it was sold, and its costs. Raises BadValue."""
    trade: Trade | None = load_row(Trade.select().where(Trade.id == trade_id))
    if trade is None:
        raise BadValue(f"no trade {trade_id}", hint="see `botctl trades`")
    orders = load_rows(Order.select().where(Order.trade == trade).order_by(Order.id))
    slippages = load_slippages(trade_id)
    costs = [slippage.cost for slippage in slippages.values() if slippage.cost is not None]
    record = trade_record(trade)
    fees = [fee for fee in (record.entry_fee, record.exit_fee) if fee is not None]
    decimals = load_price_decimals().get(trade.symbol)
    shown = partial(format_price, decimals=decimals)
    ranked = [
        *_decisions(trade_id),
        *_events(trade_id, decimals),
        *_orders(orders, slippages, shown),
        *_moves(orders, shown),
    ]
    ranked.sort(key=lambda entry: entry[:2])
    return TradeHistory(
        record,
        [step for _, _, step in ranked],
        sum(fees, Decimal(0)) if fees else None,
        sum(costs, Decimal(0)) if costs else None,
    )


ShowPrice = Callable[[Decimal | float | None], str]
"""Writes a price of the trade's market."""
Ranked = tuple[datetime, int, HistoryStep]
"""The time, the rank among steps of the same time, and the step."""
STEP_ORDER = (
    *("buy decided", "buy sent", "buy settled", "stop set", "stop moved", "stop hit"),
    *("sell decided", "exit intended", "sell sent", "exit failed", "sell settled", "closed"),
)
RANKS = {name: rank for rank, name in enumerate(STEP_ORDER)}


def _decisions(trade_id: int) -> Iterator[Ranked]:
    for row in load_rows(Decision.select().where(Decision.trade_id == trade_id).order_by(Decision.id)):
        rank = RANKS["buy decided" if row.decision == Action.BUY else "sell decided"]
        detail = f"the Council decided {row.decision}: {row.reason}"
        yield row.decided_at, rank, HistoryStep(row.decided_at, "decided", detail, row.price)


def _events(trade_id: int, decimals: int | None) -> Iterator[Ranked]:
    """The events that orders don't cover, without highs that moved no stop.

    An exit may have the exchange's time, so no event is ranked before an earlier one.
    """
    shown = partial(format_price, decimals=decimals)
    latest: datetime | None = None
    for event in load_rows(Event.select().where(Event.trade_id == trade_id).order_by(Event.id)):
        latest = event.at if latest is None else max(latest, event.at)
        if event.kind in COVERED_BY_ORDERS or event.kind == "new high":
            if event.kind == "opened":
                stop = event.after.get("stop_loss_price")
                yield (
                    latest,
                    RANKS["stop set"],
                    HistoryStep(event.at, "stop set", f"the stop was set at {shown(stop)}", None, stop),
                )
            continue
        why = with_prices(event.why, decimals)
        stop, detail = None, f"{event.kind}, {why}"
        if event.kind == "stop moved":
            stop = event.after.get("stop_loss_price")
            high = event.after.get("high_price")
            above = "" if event.price is not None and float(event.price) == high else f", high {shown(high)}"
            detail = f"the stop moved from {shown(event.before.get('stop_loss_price'))} to {shown(stop)}: {why}"
            detail += above
        elif event.kind == "stop hit":
            detail = f"the stop was hit, {event.after.get('exiting')}: {why}"
        elif event.kind == "exit intended":
            detail = f"an exit was begun, {event.after.get('exiting')}: {why}"
        yield (
            latest,
            RANKS.get(event.kind, RANKS["stop moved"]),
            HistoryStep(event.at, event.kind, detail, event.price, stop),
        )


def _orders(orders: list[Order], slippages: dict[int, Slippage], shown: ShowPrice) -> Iterator[Ranked]:
    for order in orders:
        side, why = "buy" if order.side == Side.BUY else "sell", f", {order.reason}" if order.reason else ""
        name = order.side if order.trigger is None else "stop that is to rest at Kraken"
        detail = f"a {name} of {format_amount(order.amount)} {order.symbol} was sent{why}"
        sent = HistoryStep(order.created_at, "order", detail, client_order_id=order.client_order_id)
        yield order.created_at, RANKS[f"{side} sent"], sent
        ended = order.settled_at or order.created_at
        kind, detail = _ending(order, slippages, shown)
        step = HistoryStep(ended, kind, detail, order.average_price, None, order.client_order_id)
        yield ended, RANKS[f"{side} settled"], step


def _moves(orders: list[Order], shown: ShowPrice) -> Iterator[Ranked]:
    """How the stops that rest at the exchange moved."""
    stops = [order.id for order in orders if order.trigger is not None]
    if not stops:
        return
    for event in load_rows(Event.select().where(Event.kind == MOVED, Event.order_id.in_(stops)).order_by(Event.id)):
        before, after = (_price(values.get("trigger")) for values in (event.before, event.after))
        detail = f"the resting stop moved from {shown(before)} to {shown(after)}"
        yield event.at, RANKS["stop moved"], HistoryStep(event.at, event.kind, detail)


def _price(figure: object) -> Decimal | None:
    """A price as an event keeps it."""
    return None if figure is None else Decimal(str(figure))


def _ending(order: Order, slippages: dict[int, Slippage], shown: ShowPrice) -> tuple[str, str]:
    """The kind of the step, and its sentence."""
    if order.average_price is not None:
        verb, fee = "bought" if order.side == Side.BUY else "sold", format_money(order.fee, quote_of(order.symbol))
        filled = f"{verb} {format_amount(order.filled)} at {shown(order.average_price)}, fee {fee}: {order.state}"
        return "filled", f"{filled}{_slippage_text(slippages[order.id], shown)}"
    if order.state in (OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.ABSENT):
        return "not filled", f"the {order.side} ended {order.state}: {order.error or 'nothing was filled'}"
    if order.state == OrderState.RESTING:
        return "rests", f"the stop rests at Kraken: it sells once the price is at {shown(order.trigger)}"
    return "not settled", f"the {order.side} is {order.state}{': ' + order.error if order.error else ''}"


def _slippage_text(row: Slippage, shown: ShowPrice) -> str:
    if row.fraction is None or row.expected_price is None:
        return ""
    lost = f"{format_change(row.fraction)} ({format_signed(row.cost, quote_of(row.symbol))})"
    return f"; {lost} against {shown(row.expected_price)}, {row.basis}"
