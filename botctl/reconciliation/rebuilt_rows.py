"""The database columns of a trade and its orders, from the exchange's records."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from botctl.domain.costs import calculate_pnl
from botctl.domain.money import price_of
from botctl.domain.orders import DEADLINE_AFTER, ExitReason, TradeStatus
from botctl.domain.symbols import base_of
from botctl.reconciliation.exchange_trades import ExchangeOrder, ExchangeTrade, Totals
from botctl.reconciliation.stop_reconstruction import ReconstructedStop
from botctl.store.models import Order, Trade

type Columns = dict[str, Any]


def order_columns(trade: ExchangeTrade, order: ExchangeOrder) -> Columns:
    """A row of the journal; an order that works or rests gets its figures at its end."""
    figures: Columns = {
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "side": order.side,
        "symbol": order.symbol,
        "state": order.state,
        "reason": trade.reason_of(order),
        "whole": order.client_id.whole and order.trigger is None,
        "trigger": order.trigger,
        "amount": order.amount,
        "deadline": order.opened_at + DEADLINE_AFTER,
        "created_at": order.opened_at,
    }
    return {**figures, **ending_columns(order)} if order.has_ended else figures


def ending_columns(order: ExchangeOrder) -> Columns:
    return {
        "exchange_order_id": order.exchange_order_id,
        "state": order.state,
        "filled": order.filled,
        "cost": order.cost,
        "fee": order.fee,
        "average_price": order.average_price,
        "settled_at": order.at,
        "inexact": order.filled > 0 and not order.exact,
        "error": None,
        "error_class": None,
    }


def new_columns(trade: ExchangeTrade, mode: str) -> Columns:
    """What a missing trade has in any state."""
    return {
        "symbol": trade.symbol,
        "asset": base_of(trade.symbol),
        "mode": mode,
        "created_at": trade.orders[0].opened_at,
        "mark": trade.tag,
    }


def pending_columns(trade: ExchangeTrade, atr: float) -> Columns:
    return {"status": TradeStatus.PENDING, "amount": trade.orders[0].amount, "atr": atr, "exit_time": None}


def open_columns(trade: ExchangeTrade, atr: float, stop: ReconstructedStop) -> Columns:
    last_sale = trade.last_sale
    return {
        "status": TradeStatus.OPEN,
        "amount": trade.held,
        **entry_columns(trade),
        "entry_time": trade.entry_time,
        "atr": atr,
        "stop_loss_price": stop.stop,
        "initial_stop_loss_price": stop.first,
        "high_price": stop.high,
        "checked_at": stop.checked_at,
        "seen_at": None,
        "exiting": trade.exiting or stop.hit,
        "sold_amount": trade.sold.amount,
        "exit_proceeds": trade.sold.cost,
        "exit_fee": trade.sold.fee,
        "exit_order_id": last_sale.exchange_order_id if last_sale else None,
        "exit_time": None,
    }


def reopened_columns(trade: ExchangeTrade, left: Decimal, row: Trade, opened: Columns) -> Columns:
    """A closed trade whose orders left coins. What was written off before took its share of the entry with it."""
    kept = entry_columns(trade).keys() if left < trade.held else ()
    return {
        **{name: value for name, value in opened.items() if name not in kept},
        "amount": left,
        "exit_price": None,
        "exit_reason": None,
        "pnl": None,
    }


def entry_columns(trade: ExchangeTrade) -> Columns:
    bought = trade.bought
    return {
        "entry_amount": bought.amount,
        "entry_price": price_of(bought.cost, bought.amount),
        "entry_cost": bought.cost,
        "entry_fee": bought.fee,
        "entry_order_id": next(order.exchange_order_id for order in trade.entries if order.filled > 0),
    }


def unrecorded(orders: Iterable[tuple[ExchangeOrder, Order | None]]) -> Totals:
    """The fills of ended orders that their rows lack."""
    amount, cost, fee = Decimal(0), Decimal(0), Decimal(0)
    for order, row in orders:
        amount += order.filled - (row.filled if row else 0)
        cost += order.cost - (row.cost or 0 if row else 0)
        fee += order.fee - (row.fee or 0 if row else 0)
    return Totals(amount, cost, fee)


def reduced_columns(trade: ExchangeTrade, row: Trade, sold: Totals) -> Columns:
    """An open trade after sells that its row lacks."""
    last_sale = trade.last_sale
    return {
        "amount": row.amount - sold.amount,
        "sold_amount": row.sold_amount + sold.amount,
        "exit_proceeds": row.exit_proceeds + sold.cost,
        "exit_fee": row.exit_fee + sold.fee,
        "exit_order_id": last_sale.exchange_order_id if last_sale else row.exit_order_id,
        "exiting": row.exiting or trade.exiting,
    }


def closed_columns(trade: ExchangeTrade, row: Trade, reduced: Columns) -> Columns:
    """The same trade when the rest can't be sold: its last sale closed it."""
    sold, proceeds, fee, last = reduced["sold_amount"], reduced["exit_proceeds"], reduced["exit_fee"], trade.last_sale
    entry: Columns = {"entry_cost": row.entry_cost, "entry_fee": row.entry_fee, **reduced}
    complete = None not in (entry["entry_cost"], entry["entry_fee"])
    return {
        **reduced,
        "status": TradeStatus.CLOSED,
        "amount": sold,
        "exit_price": price_of(proceeds, sold),
        "exit_reason": (last and trade.reason_of(last)) or ExitReason.MANUAL,
        "exit_time": last.at if last else trade.orders[-1].at,
        "exiting": None,
        "pnl": calculate_pnl(entry["entry_cost"], entry["entry_fee"], proceeds, fee) if complete else None,
    }
