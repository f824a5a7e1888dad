"""The hard time limit of a tick, checked between two positions or symbols, never inside one."""

import time
from dataclasses import dataclass, field

from botctl.domain.errors import BotError


@dataclass
class TimeBudget:
    """The time left for a tick. Without `seconds`, or before `start`, there is no limit.

    It ends look-ups, the Council and entries. A stop that is hit, and every exit that is due, is sold whatever the
    time: the next tick could do no better, and would come later.
    """

    seconds: float | None
    _end: float | None = field(default=None, init=False)

    def start(self) -> None:
        self._end = None if self.seconds is None else _now() + self.seconds

    def left(self) -> float | None:
        """Seconds until the end, None without a limit."""
        return None if self._end is None else max(0.0, self._end - _now())

    @property
    def expired(self) -> bool:
        return self.left() == 0

    def error(self, undone: str) -> BotError:
        """The error for what the tick leaves undone."""
        limit = f"the tick's time limit of {self.seconds:g} seconds is reached"
        return BotError(f"{limit}: {undone}", hint="the next tick goes on; see TICK_TIMEOUT")


def _now() -> float:
    """Seconds of a clock that nothing sets. It counts the time a machine slept where there is such a clock: prices
    from before a sleep are too old to buy on."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
