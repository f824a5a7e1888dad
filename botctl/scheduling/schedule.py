"""A scheduled tick: what is run, how often, and how long after the close of a candle."""

from dataclasses import dataclass, field
from datetime import datetime

from botctl.domain.configuration.settings import CONTROL
from botctl.domain.errors import ConfigError
from botctl.domain.symbols import Timeframe

CRON, SYSTEMD = "cron", "systemd"
INTERVALS = {
    "1m": ("* * * * *", "*:*"),
    "5m": ("*/5 * * * *", "*:0/5"),
    "15m": ("*/15 * * * *", "*:0/15"),
    "30m": ("*/30 * * * *", "*:0/30"),
    "1h": ("0 * * * *", "*:00"),
    "4h": ("0 */4 * * *", "0/4:00"),
    "1d": ("0 0 * * *", "00:00"),
}
"""For each timeframe the fields of a crontab, in local time, and of systemd's OnCalendar=, in UTC."""
MIN_DELAY, MAX_DELAY = 5, 120
"""Seconds after the close of a candle. Before MIN_DELAY Kraken may not have recorded the candle yet."""


@dataclass(frozen=True)
class Job:
    """A tick that cron or systemd starts at each interval."""

    home: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    timeframe: Timeframe
    delay_seconds: int
    """Spreads the requests of many bots. The exact delay in cron, the maximum in systemd."""
    limit_seconds: float
    """When the tick ends by itself."""
    writable: tuple[str, ...] = ()
    """Folders it writes to, the home first."""

    def __post_init__(self) -> None:
        for text in (self.home, *self.command, *(value for _, value in self.environment), *self.writable):
            if CONTROL.search(text):
                raise ConfigError(f"{text!r} contains control characters", hint="use a path without them")


def max_delay(timeframe: Timeframe) -> int:
    """Seconds: a quarter of the interval at most, the tick needs the rest."""
    return min(MAX_DELAY, timeframe.seconds // 4)


@dataclass(frozen=True)
class ScheduleView:
    """What runs the ticks of a home, or what would."""

    kind: str
    """`cron` or `systemd`."""
    installed: bool
    current: bool
    """Whether what is installed is what would be installed now."""
    home: str
    every: str
    delay_seconds: int
    files: dict[str, str]
    """Text by path: what is installed, or what would be."""
    others: list[str]
    """Lines of the crontab that run a tick in this home and were written by hand."""
    backup: str | None
    """The copy of a crontab that was changed."""
    changed: bool
    notes: list[str]
    last_tick_at: datetime | None = None
    overdue: str = ""
    """What is wrong when ticks do not come in time; empty while they do."""
    unguarded: list[str] = field(default_factory=list)
    """Open positions that nobody guards since the schedule was removed, with their stops."""
