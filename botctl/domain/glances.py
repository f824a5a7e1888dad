"""What `botctl status` answers."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.documents import FOR_PEOPLE


@dataclass(frozen=True)
class StatusView:
    """All of it at one glance, from the database alone."""

    mode: str
    system_status: str
    frozen: bool
    buy_enabled: bool
    tripped_at: datetime | None
    initial_balance: Decimal | None
    equity: Decimal | None
    drawdown: Decimal | None
    open_trades: int
    unsettled_orders: int
    last_tick_at: datetime | None
    last_tick_ok: bool | None
    missed_ticks: int
    why: str = field(default="", metadata=FOR_PEOPLE)
    """What paused it."""
    equity_curve: tuple[float, ...] = field(default=(), metadata=FOR_PEOPLE)
    """As the newest ticks saw it, oldest first."""
