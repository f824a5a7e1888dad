"""Ends what takes too long as a whole: a server that sends a byte now and then never meets the time-out of a read."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SHORTEST = 0.001
"""Seconds: the kernel takes an alarm after none for no alarm at all."""
REPEAT_SECONDS = 1.0
"""Seconds from one alarm to the next: whoever swallows the first is told again."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block once `seconds` have passed, or at once when none are left, and again every
    second until the block has ended. Limits may stand inside one another: the nearest end counts.

    By the kernel's alarm, which reaches the main thread alone: in another one nothing is limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no end within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, end)
    started = time.clock_gettime(time.CLOCK_MONOTONIC)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, SHORTEST), REPEAT_SECONDS)
    if outer and outer < seconds:
        signal.setitimer(signal.ITIMER_REAL, outer, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            passed = time.clock_gettime(time.CLOCK_MONOTONIC) - started
            signal.setitimer(signal.ITIMER_REAL, max(outer - passed, SHORTEST), REPEAT_SECONDS)
