"""The stops that rest at the exchange, by the journal."""

from dataclasses import dataclass
from decimal import Decimal

from botctl.store.broken_rows import load_rows
from botctl.store.models import ACTIVE_TRADES, RESTING_ORDERS, Order, Trade


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
