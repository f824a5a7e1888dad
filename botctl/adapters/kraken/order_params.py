"""What botctl sends to Kraken to place an order, and to amend a resting stop. Fees are asked for in quote currency."""

from datetime import UTC, datetime
from decimal import Decimal

from botctl.domain.markets import Market
from botctl.domain.money import format_decimal
from botctl.domain.orders import OrderRequest, Side, StopRequest

EXIT_FIRST = {"stptype": "cancel-oldest"}
"""An exit outranks an own resting buy in its way."""


def market_params(request: OrderRequest, market: Market) -> dict[str, str]:
    """AddOrder for a market order."""
    params = _common(request.client_order_id, request.side, request.amount, request.deadline, market)
    return params | {"ordertype": "market"} | (EXIT_FIRST if request.side is Side.SELL else {})


def stop_params(request: StopRequest, market: Market) -> dict[str, str]:
    """AddOrder for a stop-loss, whose `price` is the trigger: by the last trade, and good till canceled."""
    params = _common(request.client_order_id, Side.SELL, request.amount, request.deadline, market)
    return params | {"ordertype": "stop-loss", "price": format_decimal(request.trigger)} | EXIT_FIRST


def amend_params(client_order_id: str, trigger: Decimal, amount: Decimal) -> dict[str, str]:
    """AmendOrder, which keeps the order's ids. Both figures are absolute: the same request again changes nothing."""
    quantity = format_decimal(amount)
    return {"cl_ord_id": client_order_id, "trigger_price": format_decimal(trigger), "order_qty": quantity}


def _common(client_order_id: str, side: Side, amount: Decimal, deadline: datetime, market: Market) -> dict[str, str]:
    return {
        "pair": market.exchange_id,
        "type": side.value,
        "volume": format_decimal(amount),
        "oflags": "fciq",
        "cl_ord_id": client_order_id,
        "deadline": deadline.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
