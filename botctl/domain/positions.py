"""A trade, and a position at the price of now, as commands show them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.documents import MERGED


@dataclass(frozen=True)
class TradeView:
    """One trade. Money and prices in quote, amount in the asset: held while OPEN, traded once CLOSED."""

    id: int
    symbol: str
    asset: str
    mode: str
    status: str
    amount: Decimal
    entry_price: Decimal | None
    entry_cost: Decimal | None
    entry_fee: Decimal | None
    opened_at: datetime | None
    entry_order_id: str | None
    atr: float | None
    stop_loss_price: float | None
    high_price: float | None
    exit_price: Decimal | None
    exit_fee: Decimal | None
    closed_at: datetime | None
    exit_order_id: str | None
    exit_reason: str | None
    pnl: Decimal | None


@dataclass(frozen=True)
class LivePosition:
    """An open trade with the price of now."""

    trade: TradeView = field(metadata=MERGED)
    price: Decimal | None
    unrealized_pnl: Decimal | None
    """At the last price, before the exit's fee."""

    @property
    def stop_distance(self) -> Decimal | None:
        """How far the price may fall until the stop sells, as a fraction of it; zero or less: the next check sells."""
        if self.price is None or self.trade.stop_loss_price is None:
            return None
        return 1 - Decimal(repr(self.trade.stop_loss_price)) / self.price
