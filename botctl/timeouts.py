"""Limits the time of a whole block: a server that sends a byte now and then never exceeds a socket's time-out."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MIN_SECONDS = 0.001
"""A timer of zero seconds would be no timer at all."""
REPEAT_SECONDS = 1.0
"""The alarm repeats, in case other code swallows the first TimeoutError."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after `seconds` (at once if negative), and again every second until it ends.

    Limits can be nested: the earliest end counts. Uses SIGALRM, so it does nothing outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it did not end within {seconds:g} seconds")

    previous = signal.signal(signal.SIGALRM, on_alarm)
    started = time.clock_gettime(time.CLOCK_MONOTONIC)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, MIN_SECONDS), REPEAT_SECONDS)
    if outer and outer < seconds:
        signal.setitimer(signal.ITIMER_REAL, outer, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if outer:
            passed = time.clock_gettime(time.CLOCK_MONOTONIC) - started
            signal.setitimer(signal.ITIMER_REAL, max(outer - passed, MIN_SECONDS), REPEAT_SECONDS)
