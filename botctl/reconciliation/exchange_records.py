"""Fetches the exchange's records: every order of the account, the fills of ours, and the balances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from botctl.domain.client_order_ids import ClientId, parse_client_id
from botctl.domain.errors import UnusableAnswer
from botctl.domain.markets import Balances
from botctl.domain.orders import ExitReason, Fill, OrderReport
from botctl.ports import Exchange, Progress
from botctl.reconciliation.exchange_trades import ExchangeTrade, build_exchange_trades, owner_of
from botctl.store.corrections import load_orders_with_trades

MARGIN = timedelta(minutes=10)
"""Orders are requested from this much earlier, in case a clock was wrong."""


@dataclass(frozen=True)
class ExchangeRecords:
    trades: tuple[ExchangeTrade, ...]
    foreign_orders: int
    """The number of the user's own orders."""
    balances: Balances


def fetch_exchange_records(exchange: Exchange, since: datetime, progress: Progress) -> ExchangeRecords:
    """All records since `since`. Raises ExchangeUnreachable when they are incomplete."""
    untagged = _orders_without_tag()
    records = exchange.list_orders(since - MARGIN, progress)
    ours = [record for record in records if owner_of(record.report.client_order_id, untagged)]
    filled = [record.report for record in ours if record.report.filled > 0]
    fills = _fetch_fills(exchange, filled)
    trades = build_exchange_trades(ours, fills, untagged)
    return ExchangeRecords(tuple(trades), len(records) - len(ours), exchange.fetch_balances())


def _fetch_fills(exchange: Exchange, reports: Sequence[OrderReport]) -> list[Fill]:
    """The fills of these orders. Raises UnusableAnswer when one is missing."""
    fills = exchange.fetch_fills(reports) if reports else []
    missing = {fill_id for report in reports for fill_id in report.fill_ids} - {fill.fill_id for fill in fills}
    if missing:
        raise UnusableAnswer(f"the exchange did not return {len(missing)} fills of our orders", hint="try again")
    return fills


def _orders_without_tag() -> Mapping[str, ClientId]:
    """Orders of the journal whose ids have no trade tag: an older botctl sent them."""
    return {
        order.client_order_id: ClientId(
            order.trade.mark, order.trade_id, ExitReason(order.reason) if order.reason else None, order.whole, 0
        )
        for order in load_orders_with_trades()
        if parse_client_id(order.client_order_id) is None
    }
