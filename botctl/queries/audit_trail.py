"""The audit trail, told: every event in order, and the whole life of one trade."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from botctl.domain.decisions import Action
from botctl.domain.errors import BadValue
from botctl.domain.money import format_decimal
from botctl.domain.orders import OrderState, Side
from botctl.domain.text import format_money, format_price, format_signed
from botctl.queries.portfolio import trade_record
from botctl.queries.results import EventView, HistoryStep, TradeHistory
from botctl.queries.slippage import Slippage, load_slippages
from botctl.store.models import Decision, Event, Order, Trade

TOLD_BY_ORDERS = ("entry intended", "opened", "sold", "entry failed")
"""Events that an order tells better."""


def list_events(
    *, symbol: str | None = None, since: datetime | None = None, after_id: int = 0, limit: int | None = None
) -> list[EventView]:
    """The newest entries of the audit trail, newest last. Those of the switch belong to no symbol."""
    query = Event.select().where(Event.id > after_id).order_by(Event.id.desc())
    if since is not None:
        query = query.where(Event.at >= since)
    if symbol is not None:
        trades = Trade.select(Trade.id).where(Trade.symbol == symbol)
        orders = Order.select(Order.id).where(Order.symbol == symbol)
        query = query.where(Event.trade_id.in_(trades) | Event.order_id.in_(orders))
    rows = list(query.limit(limit))[::-1]
    trade_ids = {row.trade_id for row in rows if row.trade_id is not None}
    order_ids = {row.order_id for row in rows if row.order_id is not None}
    by_trade = {row.id: row.symbol for row in Trade.select(Trade.id, Trade.symbol).where(Trade.id.in_(trade_ids))}
    by_order = {row.id: row.symbol for row in Order.select(Order.id, Order.symbol).where(Order.id.in_(order_ids))}
    return [
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


def explain(trade_id: int) -> TradeHistory:
    """Why a trade was bought, what moved its stop, why it was sold, and what that cost. Raises BadValue."""
    trade: Trade | None = Trade.get_or_none(Trade.id == trade_id)
    if trade is None:
        raise BadValue(f"there is no trade {trade_id}", hint="see `botctl trades`")
    orders = list(Order.select(Order, Trade).join(Trade).where(Order.trade == trade).order_by(Order.id))
    slips = load_slippages(trade_id)
    costs = [slip.cost for slip in slips.values() if slip.cost is not None]
    view = trade_record(trade)
    fees = [fee for fee in (view.entry_fee, view.exit_fee) if fee is not None]
    ranked = [*_decisions(trade_id), *_events(trade_id), *_orders(orders, slips)]
    ranked.sort(key=lambda entry: entry[:2])
    return TradeHistory(
        view,
        [step for _, _, step in ranked],
        sum(fees, Decimal(0)) if fees else None,
        sum(costs, Decimal(0)) if costs else None,
    )


Ranked = tuple[datetime, int, HistoryStep]
"""When, which comes first of what happened at once, and what."""
DECIDED, BUY, FILLED, MOVED, HIT, DECIDED_AGAIN, INTENDED, SELL, SOLD_IT, ENDED = range(10)
RANKS = {"stop moved": MOVED, "stop hit": HIT, "exit intended": INTENDED, "exit failed": SOLD_IT, "closed": ENDED}


def _decisions(trade_id: int) -> Iterator[Ranked]:
    for row in Decision.select().where(Decision.trade_id == trade_id).order_by(Decision.id):
        rank = DECIDED if row.decision == Action.BUY else DECIDED_AGAIN
        said = f"the Council said {row.decision}: {row.reason}"
        yield row.decided_at, rank, HistoryStep(row.decided_at, "decided", said, row.price)


def _events(trade_id: int) -> Iterator[Ranked]:
    """Highs that moved no stop are left out. The time of an exit may be the exchange's: it is told after what led to
    it all the same."""
    latest: datetime | None = None
    for event in Event.select().where(Event.trade_id == trade_id).order_by(Event.id):
        latest = event.at if latest is None else max(latest, event.at)
        if event.kind in TOLD_BY_ORDERS or event.kind == "new high":
            if event.kind == "opened":
                stop = event.after.get("stop_loss_price")
                yield latest, FILLED, HistoryStep(event.at, "stop set", f"stop {format_price(stop)}", None, stop)
            continue
        stop, detail = None, event.why
        if event.kind == "stop moved":
            stop = event.after["stop_loss_price"]
            was = format_price(event.before.get("stop_loss_price"))
            high = event.after["high_price"]
            above = "" if event.price is not None and float(event.price) == high else f", high {format_price(high)}"
            detail = f"stop {was} to {format_price(stop)}: {event.why}{above}"
        elif event.kind in ("stop hit", "exit intended"):
            detail = f"{event.after.get('exiting')}: {event.why}"
        yield latest, RANKS.get(event.kind, MOVED), HistoryStep(event.at, event.kind, detail, event.price, stop)


def _orders(orders: list[Order], slips: dict[int, Slippage]) -> Iterator[Ranked]:
    for order in orders:
        buys = order.side == Side.BUY
        why = f", {order.reason}" if order.reason else ""
        asked = f"{order.side} {format_decimal(order.amount)} {order.symbol}{why}"
        sent = HistoryStep(order.created_at, "order", asked, client_order_id=order.client_order_id)
        yield order.created_at, BUY if buys else SELL, sent
        ended = order.settled_at or order.created_at
        if order.average_price is not None:
            price, fee = format_price(order.average_price), format_money(order.fee)
            got = f"{order.state} {format_decimal(order.filled)} at {price}, fee {fee}"
            kind, detail = "filled", got + _slipped(slips[order.id])
        elif order.state in (OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.ABSENT):
            kind, detail = "not filled", f"{order.state}: {order.error or 'nothing was filled'}"
        else:
            kind, detail = "not settled", f"{order.state}{': ' + order.error if order.error else ''}"
        step = HistoryStep(ended, kind, detail, order.average_price, None, order.client_order_id)
        yield ended, BUY if buys else SOLD_IT, step


def _slipped(slip: Slippage) -> str:
    """How far from the best price that is known."""
    if slip.fraction is None or slip.expected_price is None:
        return ""
    cost, expected = format_signed(slip.cost), format_price(slip.expected_price)
    return f"; {100 * slip.fraction:+.2f} % ({cost}) against {expected}, {slip.basis}"
