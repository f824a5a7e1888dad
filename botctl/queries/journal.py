"""The journal's orders and the Council's decisions, read from the database alone."""

from collections import Counter
from decimal import Decimal

from botctl.domain.orders import Side
from botctl.queries.results import OrderView
from botctl.store.models import UNSETTLED_ORDERS, Decision, Event, Order, Trade
from botctl.trading.results import DecisionView, OrderResult, view_decision

NO_ORDER = "NONE"
"""The state of an order that was never made."""


def closed_without_order(trade_id: int) -> OrderResult:
    """What to say of a trade that closed because nothing of it could be sold: dust, or coins that are gone."""
    trade = Trade.get_by_id(trade_id)
    event = Event.select().where(Event.trade_id == trade_id).order_by(Event.id.desc()).get()
    return OrderResult(
        side=Side.SELL,
        symbol=trade.symbol,
        state=NO_ORDER,
        amount=trade.amount,
        filled=Decimal(0),
        average_price=None,
        cost=None,
        fee=None,
        client_order_id=None,
        exchange_order_id=None,
        trade_id=trade.id,
        trade_status=trade.status,
        reason=trade.exit_reason,
        pnl=trade.pnl,
        note=event.why,
    )


def list_orders(*, limit: int | None = None, unsettled: bool = False) -> list[OrderView]:
    """The order journal, newest last."""
    query = Order.select().order_by(Order.id.desc())
    if unsettled:
        query = query.where(UNSETTLED_ORDERS)
    return [_view_order(row) for row in query.limit(limit)][::-1]


def list_decisions(symbol: str, limit: int) -> list[DecisionView]:
    """What the Council said of a symbol, newest first."""
    rows = Decision.select().where(Decision.symbol == symbol).order_by(Decision.id.desc()).limit(limit)
    return [view_decision(row) for row in rows]


def count_decisions() -> dict[str, int]:
    """How often the Council decided each action."""
    return dict(Counter(str(row.decision) for row in Decision.select(Decision.decision)))


def _view_order(row: Order) -> OrderView:
    return OrderView(
        id=row.id,
        client_order_id=row.client_order_id,
        exchange_order_id=row.exchange_order_id,
        trade_id=row.trade_id,
        side=row.side,
        symbol=row.symbol,
        state=row.state,
        amount=row.amount,
        cost=row.cost,
        filled=row.filled,
        average_price=row.average_price,
        fee=row.fee,
        deadline=row.deadline,
        created_at=row.created_at,
        error=row.error,
    )
