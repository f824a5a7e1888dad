"""The hard time limit of a tick: asked between two positions or symbols, never inside one."""

import time

from botctl.domain.errors import BotError


class TimeBudget:
    """How long a tick may go on. Without `seconds`, or before `start`, nothing is limited.

    What it ends are look-ups, the Council and entries. A stop that is hit, and every exit that is due, is sold
    whatever the time: the next tick could do no better, and would come later.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end: float | None = None

    def start(self) -> None:
        """A tick begins now."""
        self._end = None if self.seconds is None else _now() + self.seconds

    def left(self) -> float | None:
        """Seconds until the end, or None when there is none."""
        return None if self._end is None else max(0.0, self._end - _now())

    @property
    def expired(self) -> bool:
        return self.left() == 0

    def error(self, undone: str) -> BotError:
        """What to say of that which the tick leaves undone."""
        return BotError(
            f"the tick's {self.seconds:g} seconds are over: {undone}", hint="the next tick goes on; see TICK_TIMEOUT"
        )


def _now() -> float:
    """Seconds of a clock that nobody sets. Where there is one that counts the time a machine slept, it is that:
    prices seen before a sleep are nothing to buy on after it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
