"""A trade as plain values, the same for every command, report and backtest."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.costs import break_even_price, net_pnl
from botctl.domain.serialization import MERGED, NOT_IN_JSON


@dataclass(frozen=True, kw_only=True)
class TradeRecord:
    """One trade. Money and prices in quote, amount in the asset: held while OPEN, traded once CLOSED.

    None is unknown, or has not happened.
    """

    id: int
    symbol: str
    asset: str
    mode: str
    status: str
    amount: Decimal
    entry_price: Decimal | None
    entry_cost: Decimal | None
    entry_fee: Decimal | None
    entry_time: datetime | None
    entry_order_id: str | None = None
    atr: float | None
    initial_stop_loss_price: float | None = None
    stop_loss_price: float | None
    high_price: float | None
    exit_price: Decimal | None = None
    exit_proceeds: Decimal | None = field(default=None, metadata=NOT_IN_JSON)
    exit_fee: Decimal | None = None
    exit_time: datetime | None = None
    exit_order_id: str | None = None
    exit_reason: str | None = None
    pnl: Decimal | None = None
    r_multiple: Decimal | None = None
    """The P&L in units of what the entry risked, see `domain.costs.r_multiple`."""
    resting_trigger: Decimal | None = None
    """Of an open trade: the price that sets off its stop that rests at the exchange."""
    unprotected: str | None = None
    """Of an open trade that is to have a resting stop: `none`, `too small` or `too low`; None where all is well."""


@dataclass(frozen=True)
class LivePosition:
    """An open trade with its current price."""

    trade: TradeRecord = field(metadata=MERGED)
    price: Decimal | None
    unrealized_pnl: Decimal | None
    """Of what is held, at the last price, before fees."""
    net_pnl: Decimal | None = None
    """Of the whole trade, if it were sold at the last price: after both fees, as the P&L of closed trades."""
    break_even_price: Decimal | None = None
    """Where `net_pnl` would be zero."""

    @property
    def stop_distance(self) -> Decimal | None:
        """How far the price may fall before the stop sells, as a fraction; at zero or below the next check sells."""
        if self.price is None or self.trade.stop_loss_price is None:
            return None
        return 1 - Decimal(repr(self.trade.stop_loss_price)) / self.price


def live_position(trade: TradeRecord, price: Decimal | None, fee_rate: Decimal) -> LivePosition:
    """`fee_rate` is that of the sale to come; of what was bought and sold the fees are known."""
    if trade.entry_price is None:
        return LivePosition(trade, price, None)
    unrealized = None if price is None else (price - trade.entry_price) * trade.amount
    if trade.entry_cost is None or trade.entry_fee is None or not trade.amount:
        return LivePosition(trade, price, unrealized)
    paid = trade.entry_cost + trade.entry_fee
    received = (trade.exit_proceeds or Decimal(0)) - (trade.exit_fee or Decimal(0))
    net = None if price is None else net_pnl(paid, received, price * trade.amount, fee_rate)
    return LivePosition(trade, price, unrealized, net, break_even_price(paid, received, trade.amount, fee_rate))
