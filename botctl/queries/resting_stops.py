"""The stops that rest at the exchange, by the journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.stops import ENOUGH
from botctl.domain.text import counted
from botctl.store.broken_rows import load_rows
from botctl.store.models import ACTIVE_TRADES, RESTING_ORDERS, Order, Trade
from botctl.store.resting_stops import find_unprotected, load_resting_stops


@dataclass(frozen=True)
class RestingStopView:
    """One stop order that waits at the exchange. Prices in quote, the amount in the asset."""

    trade_id: int
    symbol: str
    amount: Decimal
    trigger: Decimal | None
    """The last price that sets it off."""
    stop_loss_price: float | None
    """The stop of the rule, which each check compares the price with."""
    client_order_id: str
    exchange_order_id: str | None


def name_unprotected(distance: float | None) -> tuple[str, ...]:
    """The open positions whose resting stop is not as it should be, such as `BTC/USD (trade 1)`."""
    lacks = find_unprotected(distance)
    trades = load_rows(Trade.select().where(Trade.id.in_(list(lacks))).order_by(Trade.id)) if lacks else []
    return tuple(f"{row.symbol} (trade {row.id}{describe_lack(lacks[row.id])})" for row in trades)


def find_guarded_at_exchange() -> set[int]:
    """The open trades for the whole of which a stop rests at the exchange, whether ticks move it up or not."""
    resting = {order.trade_id: order.amount for order in load_resting_stops()}
    trades = load_rows(Trade.select().where(Trade.id.in_(list(resting)))) if resting else []
    return {trade.id for trade in trades if resting[trade.id] >= ENOUGH * trade.amount}


def describe_lack(lack: str) -> str:
    return "" if lack == "none" else f", {lack}"


def unprotected_notice(names: Sequence[str]) -> list[str]:
    """One line for all of them."""
    if not names:
        return []
    lack = counted(len(names), "open position has", "open positions have")
    return [f"{lack} no resting stop: {'; '.join(names)}; the next tick tries again"]


def list_resting_stops() -> list[RestingStopView]:
    """The oldest trade first."""
    orders = load_rows(Order.select().where(RESTING_ORDERS).order_by(Order.trade))
    stops = {row.id: row.stop_loss_price for row in load_rows(Trade.select().where(ACTIVE_TRADES))}
    return [
        RestingStopView(
            order.trade_id, order.symbol, order.amount, order.trigger, stops.get(order.trade_id),
            order.client_order_id, order.exchange_order_id,
        )
        for order in orders
    ]  # fmt: skip
