"""The columns that a trade and its orders must have, by the exchange's records."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.candles import base_of
from botctl.domain.ledger import LedgerOrder, LedgerTrade
from botctl.domain.money import price_of
from botctl.domain.orders import DEADLINE_AFTER, ExitReason, TradeStatus
from botctl.domain.pnl import calculate_pnl
from botctl.services.replay import Replay
from botctl.store.models import Order, Trade

type Columns = dict[str, Any]


def order_columns(order: LedgerOrder) -> Columns:
    """A row of the journal as it would stand there now: one that still works gets its figures with its end."""
    figures: Columns = {
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "side": order.side,
        "symbol": order.symbol,
        "state": order.state,
        "reason": order.said.reason,
        "whole": order.said.whole,
        "amount": order.amount,
        "deadline": order.opened_at + DEADLINE_AFTER,
        "created_at": order.opened_at,
    }
    return figures if order.working else {**figures, **ending_columns(order)}


def ending_columns(order: LedgerOrder) -> Columns:
    """What an order's end adds to its row."""
    return {
        "exchange_order_id": order.exchange_order_id,
        "state": order.state,
        "filled": order.filled,
        "cost": order.cost,
        "fee": order.fee,
        "average_price": order.average_price,
        "settled_at": order.at,
        "error": None,
    }


def new_columns(trade: LedgerTrade, mode: str) -> Columns:
    """What a trade that is missing here has whatever its state."""
    symbol = trade.symbol
    return {
        "symbol": symbol,
        "asset": base_of(symbol),
        "mode": mode,
        "created_at": trade.orders[0].opened_at,
        "mark": trade.mark,
    }


def pending_columns(trade: LedgerTrade, atr: float) -> Columns:
    """A trade whose entry still works: the asset is reserved."""
    return {"status": TradeStatus.PENDING, "amount": trade.orders[0].amount, "atr": atr, "closed_at": None}


def open_columns(trade: LedgerTrade, atr: float, replay: Replay) -> Columns:
    """A trade that holds something, with its stop."""
    last_sale = trade.last_sale
    return {
        "status": TradeStatus.OPEN,
        "amount": trade.held,
        **entry_columns(trade),
        "opened_at": trade.opened_at,
        "atr": atr,
        "stop_loss_price": replay.stop,
        "high_price": replay.high,
        "checked_at": replay.checked_at,
        "exiting": trade.exiting or replay.hit,
        "sold_amount": trade.sold,
        "exit_proceeds": trade.proceeds,
        "exit_fee": trade.exit_fee,
        "exit_order_id": last_sale.exchange_order_id if last_sale else None,
        "closed_at": None,
    }


def entry_columns(trade: LedgerTrade) -> Columns:
    """What its entry did."""
    return {
        "entry_amount": trade.bought,
        "entry_price": price_of(trade.entry_cost, trade.bought),
        "entry_cost": trade.entry_cost,
        "entry_fee": trade.entry_fee,
        "entry_order_id": next(order.exchange_order_id for order in trade.entries if order.filled > 0),
    }


def reduced_columns(trade: LedgerTrade, row: Trade, sold: Decimal, proceeds: Decimal, fee: Decimal) -> Columns:
    """An open trade after sells that its row does not know of: so much more sold, for so much."""
    last_sale = trade.last_sale
    return {
        "amount": row.amount - sold,
        "sold_amount": row.sold_amount + sold,
        "exit_proceeds": row.exit_proceeds + proceeds,
        "exit_fee": row.exit_fee + fee,
        "exit_order_id": last_sale.exchange_order_id if last_sale else row.exit_order_id,
        "exiting": row.exiting or trade.exiting,
    }


def closed_columns(row: Trade, reduced: Columns, reason: ExitReason, at: datetime) -> Columns:
    """The same trade when what is left of it can't be sold any more."""
    sold, proceeds, fee = reduced["sold_amount"], reduced["exit_proceeds"], reduced["exit_fee"]
    pnl = None
    if row.entry_cost is not None and row.entry_fee is not None:
        pnl = calculate_pnl(row.entry_cost, row.entry_fee, proceeds, fee)
    return {
        **reduced,
        "status": TradeStatus.CLOSED,
        "amount": sold,
        "exit_price": price_of(proceeds, sold),
        "exit_reason": reason,
        "closed_at": at,
        "exiting": None,
        "pnl": pnl,
    }


def missing_figures(order: LedgerOrder, row: Order | None) -> tuple[Decimal, Decimal, Decimal]:
    """How much more an ended order filled, cost and took as fee than its row says."""
    if row is None:
        return order.filled, order.cost, order.fee
    return order.filled - row.filled, order.cost - (row.cost or 0), order.fee - (row.fee or 0)
