"""Whether anybody runs the ticks: the age of the last one, and what runs them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MIN_GRACE = timedelta(minutes=5)
"""With short candles a single tick may take longer than the time between two of them."""


@dataclass(frozen=True)
class Ticking:
    """What runs the ticks of a home, and the age of the last one."""

    scheduled_by: str | None
    """`cron`, `systemd`, or None for neither."""
    active: bool
    """False for a systemd timer that is installed but stopped."""
    last_tick_at: datetime | None
    now: datetime
    seconds: int
    """The time between two ticks."""

    @property
    def overdue(self) -> str:
        """What is wrong, as a sentence; empty while ticks come in time."""
        if self.scheduled_by == "systemd" and not self.active:
            return f"systemd's timer is installed but not active{self._since()}: `botctl schedule install` starts it"
        if self.last_tick_at is None:
            return ""
        age = self.now - self.last_tick_at
        if age < -MIN_GRACE:
            return f"the last tick is {_minutes(-age)} in the future: is this machine's clock right?"
        if age <= max(timedelta(seconds=1.5 * self.seconds), MIN_GRACE):
            return ""
        return f"{self._since().removeprefix(', ')}: {self._question()}"

    @property
    def next_tick_at(self) -> datetime | None:
        """When the next tick is expected; None where nothing runs them, or they do not come.

        Cron and systemd tick after each close of a candle; what else runs them keeps the time between two.
        """
        if self.overdue or (self.scheduled_by is None and self.last_tick_at is None):
            return None
        if self.scheduled_by is not None:
            since_close = self.now.timestamp() % self.seconds
            return self.now + timedelta(seconds=self.seconds - since_close)
        return self.last_tick_at + timedelta(seconds=self.seconds) if self.last_tick_at else None

    def _since(self) -> str:
        if self.last_tick_at is None:
            return ""
        age = max(self.now - self.last_tick_at, timedelta(0))
        return f", no tick for {_minutes(age)}, expected every {self.seconds // 60}"

    def _question(self) -> str:
        match self.scheduled_by:
            case "cron":
                return "is cron running?"
            case "systemd":
                return "does its service fail? `journalctl --user` tells"
        return "neither cron nor systemd runs botctl tick, `botctl schedule install` does"


def _minutes(span: timedelta) -> str:
    """24 min, 5 h, 3 d."""
    minutes = round(span.total_seconds() / 60)
    if minutes >= 2 * 1440:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h" if minutes >= 2 * 60 else f"{minutes} min"
