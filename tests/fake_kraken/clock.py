"""The fake Kraken's clock."""

import threading
import time
from typing import Protocol


class TimeSource(Protocol):
    """The time that a fake Kraken lives in."""

    def now(self) -> float:
        """Unix seconds."""

    def wait(self, seconds: float, released: threading.Event) -> None:
        """Return after `seconds` of this time, or as soon as `released` is set."""


class ProcessTime:
    """The time of the test process: when a test freezes it, the fake Kraken's clock stands still as well."""

    def now(self) -> float:
        return time.time()

    def wait(self, seconds: float, released: threading.Event) -> None:
        released.wait(seconds)


class KrakenClock:
    """Kraken's clock in unix seconds. `offset` sets it wrong: so many seconds ahead of the time of the test."""

    def __init__(self, source: TimeSource | None = None) -> None:
        self.offset = 0.0
        self._source = source or ProcessTime()

    def now(self) -> float:
        return self._source.now() + self.offset

    def wait(self, seconds: float, released: threading.Event) -> None:
        """Return after `seconds`, or as soon as `released` is set."""
        self._source.wait(seconds, released)
