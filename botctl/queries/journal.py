"""Orders and the Council's decisions, from the database."""

from collections import Counter
from dataclasses import fields
from decimal import Decimal

from botctl.domain.orders import Side
from botctl.queries.results import OrderView
from botctl.store.broken_rows import find_unknown_rows, load_rows
from botctl.store.models import UNSETTLED_ORDERS, Decision, Event, Order, Trade, database
from botctl.store.rows import Rows
from botctl.trading.results import DecisionView, OrderResult, view_decision

NO_ORDER = "NONE"
"""The state in a result that has no order."""


def closed_without_order(trade_id: int) -> OrderResult:
    """The result of a sell that closed the trade because nothing could be sold: dust, or coins that are gone."""
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


def list_orders(*, limit: int | None = None, unsettled: bool = False) -> Rows[OrderView]:
    """The order journal, newest last."""
    query = Order.select().order_by(Order.id.desc())
    if unsettled:
        query = query.where(UNSETTLED_ORDERS)
    rows = load_rows(query.limit(limit))
    return Rows([_view_order(row) for row in rows[::-1]], [*rows.broken, *(find_unknown_rows() if unsettled else ())])


def list_decisions(symbol: str, limit: int) -> Rows[DecisionView]:
    """The Council's decisions on a symbol, newest first."""
    rows = load_rows(Decision.select().where(Decision.symbol == symbol).order_by(Decision.id.desc()).limit(limit))
    return Rows([view_decision(row) for row in rows], rows.broken)


def count_decisions() -> dict[str, int]:
    """How often the Council decided each action."""
    counted = database.execute_sql('SELECT "decision", COUNT(*) FROM "decision" GROUP BY "decision"').fetchall()
    return {str(decision): count for decision, count in counted}


def count_stances() -> dict[str, dict[str, int]]:
    """By agent: how often it gave each stance."""
    said: dict[str, Counter[str]] = {}
    for row in Decision.select(Decision.verdicts):
        for verdict in row.verdicts:
            said.setdefault(verdict["agent"], Counter())[verdict["stance"]] += 1
    return {agent: dict(counts) for agent, counts in said.items()}


def _view_order(row: Order) -> OrderView:
    return OrderView(**{each.name: getattr(row, each.name) for each in fields(OrderView)})
