"""This machine's clock, for runs on real time."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The time of paper and live runs."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def start_tick(self) -> bool:
        return True
