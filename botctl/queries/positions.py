"""A trade as plain values, the same for every command, report and backtest."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.serialization import MERGED, json_name


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
    entry_at: datetime | None = field(metadata=json_name("opened_at"))
    entry_order_id: str | None = None
    atr: float | None
    stop_loss_price: float | None
    high_price: float | None
    exit_price: Decimal | None = None
    exit_fee: Decimal | None = None
    exit_at: datetime | None = field(default=None, metadata=json_name("closed_at"))
    exit_order_id: str | None = None
    exit_reason: str | None = None
    pnl: Decimal | None = None


@dataclass(frozen=True)
class LivePosition:
    """An open trade with its current price."""

    trade: TradeRecord = field(metadata=MERGED)
    price: Decimal | None
    unrealized_pnl: Decimal | None
    """At the last price, before the exit's fee."""

    @property
    def stop_distance(self) -> Decimal | None:
        """How far the price may fall before the stop sells, as a fraction; at zero or below the next check sells."""
        if self.price is None or self.trade.stop_loss_price is None:
            return None
        return 1 - Decimal(repr(self.trade.stop_loss_price)) / self.price
