"""The seconds that one run may spend waiting for orders to end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from botctl.ports import Clock
from botctl.trading.time_budget import TimeBudget

WAIT_BUDGET_SECONDS = 20.0
"""How long one run waits for answers, in all, unless it cancels what hangs."""
RENEWED_SECONDS = 8.0
"""How long it waits at least after a cancel, and for the sell that follows."""


@dataclass
class WaitBudget:
    """The seconds that one run may spend waiting for unsettled orders."""

    clock: Clock
    time_budget: TimeBudget
    left: float = WAIT_BUDGET_SECONDS
    spent: float = field(default=0.0, init=False)

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds` or what is left; returns False at once when nothing is left."""
        if self.left <= 0:
            return False
        pause = min(seconds, self.left)
        self.spend(pause)
        self.clock.sleep(pause)
        return True

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the seconds of the block, but for those that it waits: these are counted already."""
        started, before = time.monotonic(), self.spent
        try:
            yield
        finally:
            waited = self.spent - before
            self.spend(max(0.0, time.monotonic() - started - waited))

    def spend(self, seconds: float) -> None:
        self.left -= seconds
        self.spent += seconds

    def renew(self) -> bool:
        """Have some seconds left for one more order. Returns False, and does nothing, when the tick's time is over."""
        if self.time_budget.expired:
            return False
        self.left = max(self.left, RENEWED_SECONDS)
        return True
