"""What monitoring hands on: the figures of a tick, and how a test message went."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class TickMetrics:
    """What a monitor wants to know after each tick. Money in the quote currency; None is unknown."""

    mode: str
    last_success_at: float | None
    """Seconds since 1970, as all moments here."""
    last_tick_at: float
    seconds: float
    exit_code: int
    requests: int
    equity: Decimal | None
    drawdown: Decimal | None
    open_trades: int
    unguarded: int
    unsettled_orders: int
    missed_runs: int


@dataclass(frozen=True)
class NotifyView:
    """Whether one address of NOTIFY_URLS could be written to."""

    service: str
    """Its scheme; all else of an address may be a secret."""
    ok: bool
    detail: str
