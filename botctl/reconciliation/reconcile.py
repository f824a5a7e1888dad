"""Compares journal and trades with the exchange, order by order and trade by trade. Changes nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any

from botctl.domain.orders import ACTIVE, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import Progress
from botctl.reconciliation.differences import OrderFigures, holding_difference, order_difference
from botctl.reconciliation.exchange_records import ExchangeRecords, fetch_exchange_records
from botctl.reconciliation.exchange_trades import ExchangeOrder, ExchangeTrade, has_ended, left_by_orders
from botctl.reconciliation.results import ReconciledOrder, ReconciledPosition, ReconcileView
from botctl.store.corrections import load_orders_with_trades, load_trades_by_tag, load_written_off
from botctl.store.evidence.unrecorded_orders import load_recovery
from botctl.store.models import Order, Trade
from botctl.trading.bot import Bot

DEFAULT_PERIOD = timedelta(days=30)
"""How far back, or to the entry of the oldest active trade if that is earlier."""
ENTRY = "entry"
RESTING_STOP = "resting stop"
ENDED = "ended before the recovery"
NOTHING = Decimal(0)


def reconcile(bot: Bot, since: datetime | None, progress: Progress) -> ReconcileView:
    """Both sides since `since`. Raises ExchangeUnreachable when the exchange's records are incomplete."""
    trades = load_trades_by_tag()
    active = [trade for trade in trades.values() if trade.status in ACTIVE]
    since = since or min([bot.clock.now() - DEFAULT_PERIOD, *(trade.created_at for trade in active)])
    records = fetch_exchange_records(bot.exchange, since, progress)
    orders = _orders(bot, records, trades, since)
    positions = list(_positions(bot, records, trades))
    same = all(row.same for row in orders) and all(row.same for row in positions)
    return ReconcileView(since, same, orders, positions, records.foreign_orders)


def journal_figures(row: Order) -> OrderFigures:
    return OrderFigures(OrderState(row.state), row.filled, row.cost, row.fee)


def exchange_figures(order: ExchangeOrder) -> OrderFigures:
    return OrderFigures(order.state, order.filled, order.cost, order.fee)


def _orders(bot: Bot, records: ExchangeRecords, trades: dict[str, Trade], since: datetime) -> list[ReconciledOrder]:
    """Every order at the exchange, and every other one in the journal since `since`; oldest first."""
    recovery, markets = load_recovery(), bot.exchange.load_markets()
    ended = {
        trade.tag
        for trade in records.trades
        if trade.tag not in trades
        and recovery is not None
        and trade.ended_at <= recovery.at
        and has_ended(trade, markets)
    }
    rows = {row.client_order_id: row for row in load_orders_with_trades()}
    orders = [
        (
            order.opened_at,
            _compare(trades.get(trade.tag), rows.pop(order.client_order_id, None), order, ended=trade.tag in ended),
        )
        for trade in records.trades
        for order in trade.orders
    ]
    orders += [(row.created_at, _compare(row.trade, row, None)) for row in rows.values() if row.created_at >= since]
    return [order for _, order in sorted(orders, key=itemgetter(0))]


def _compare(
    trade: Trade | None, row: Order | None, order: ExchangeOrder | None, *, ended: bool = False
) -> ReconciledOrder:
    """One order in the journal and at the exchange. One of the two may be missing, without a difference where its
    trade had `ended` before the recovery."""
    either: Any = order or row
    difference = order_difference(journal_figures(row) if row else None, exchange_figures(order) if order else None)
    same = not difference or ended
    return ReconciledOrder(
        trade_id=trade.id if trade else None,
        symbol=either.symbol,
        role=_role(row, order),
        client_order_id=either.client_order_id,
        exchange_order_id=order.exchange_order_id if order else None,
        journal_state=row.state if row else None,
        exchange_state=str(order.state) if order else None,
        journal_filled=row.filled if row else None,
        exchange_filled=order.filled if order else None,
        journal_cost=row.cost if row else None,
        exchange_cost=order.cost if order else None,
        journal_fee=row.fee if row else None,
        exchange_fee=order.fee if order else None,
        same=same,
        verdict=ENDED if ended else difference or "same",
    )


def _role(row: Order | None, order: ExchangeOrder | None) -> str:
    """What an order is for. A resting stop counts as an exit only once it has sold."""
    either: Any = order or row
    rests = order.client_id.resting if order else either.trigger is not None
    if rests and not either.filled:
        return RESTING_STOP
    reason = (order.client_id.reason if order else None) or (row.reason if row else None)
    return str(reason or (ENTRY if either.side == Side.BUY else RESTING_STOP))


def _positions(bot: Bot, records: ExchangeRecords, trades: dict[str, Trade]) -> Iterator[ReconciledPosition]:
    """Every active trade, every closed one whose orders left coins, and every one that the exchange's records hold
    and the database lacks."""
    exchange_trades = {trade.tag: trade for trade in records.trades}
    written_off = load_written_off()
    for tag, trade in trades.items():
        found, off = exchange_trades.get(tag), written_off.get(trade.id, Decimal(0))
        if trade.status in ACTIVE or (found is not None and _left_coins(bot, trade, found, off)):
            yield _position(records, trade, found, off)
    for tag, missing in exchange_trades.items():
        if tag not in trades and _is_held(bot, missing):
            yield _position(records, None, missing, Decimal(0))


def _is_held(bot: Bot, trade: ExchangeTrade, written_off: Decimal = NOTHING) -> bool:
    """Whether more than dust is left of it."""
    market, left = bot.exchange.load_markets().get(trade.symbol), left_by_orders(trade, written_off)
    return left > 0 and (market is None or left >= market.min_amount)


def _left_coins(bot: Bot, row: Trade, trade: ExchangeTrade, written_off: Decimal) -> bool:
    """Whether a closed trade's orders left coins that nobody has written off."""
    ended = row.status == TradeStatus.CLOSED and bool(trade.entries) and not trade.working
    return ended and _is_held(bot, trade, written_off)


def _position(
    records: ExchangeRecords, trade: Trade | None, exchange: ExchangeTrade | None, written_off: Decimal
) -> ReconciledPosition:
    symbol = trade.symbol if trade else (exchange.symbol if exchange else "")
    asset = base_of(symbol)
    held = trade.amount if trade and trade.status == TradeStatus.OPEN else Decimal(0)
    left = left_by_orders(exchange, written_off) if exchange and exchange.entries else None
    balance = records.balances.total(asset)
    difference = holding_difference(held, left, balance, asset)
    if trade is not None and trade.status == TradeStatus.CLOSED:
        difference = f"it is closed, but {difference}: see `botctl recover`"
    if trade is None:
        difference = "no trade in the database: see `botctl recover`"
    return ReconciledPosition(
        trade_id=trade.id if trade else None,
        symbol=symbol,
        asset=asset,
        held=held,
        exchange_held=left,
        balance=balance,
        same=not difference,
        verdict=difference or ("same" if left is not None else "its entry is outside the period"),
    )
