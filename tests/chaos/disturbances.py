"""What is armed for the next run: faults of the exchange, odd fills, and a signal at one of the run's boundaries."""

import signal
from typing import Any

from tests.chaos.world import World
from tests.fake_kraken import Instant, PartialThenCanceled, Pieces, Slow

LOCKOUT, LOCKED_SECONDS = "EGeneral:Temporary lockout", 900.0
"""After it no private call is made for so long."""

type Ending = tuple[str, int, signal.Signals]
"""At which boundary a run is ended, at which number of it, and by which signal."""


class Disturbances:
    """Of the next run in one world. A wrong clock of the exchange is none of them: it stays wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._spoiled = False
        self._locks_out = False
        self._locked_until = 0.0
        self.ending: Ending | None = None

    @property
    def active(self) -> bool:
        """Whether the next run is disturbed; a lock-out from an earlier one counts too."""
        return self._spoiled or self.ending is not None or self._world.clock.now() < self._locked_until

    def arm_fault(self, kind: str, endpoint: str, times: int, skip: int, seconds: int, error: str, body: Any) -> None:
        text = {"error": error, "warning": "WGeneral:Odd"}.get(kind)
        self._locks_out |= text == LOCKOUT
        if kind == "empty_result":
            times = 1  # fills that don't show twice cost their exact figures, long after an order's end: by design
        self._world.kraken.fault(endpoint, kind, times, skip, seconds=seconds, error=text, body=body)
        self._spoiled = True

    def fill(self, mode: Slow | Pieces | PartialThenCanceled) -> None:
        """Orders are filled so."""
        self._world.kraken.account.fill_mode = mode
        self._spoiled = True

    def hide_new_orders(self, seconds: int) -> None:
        self._world.kraken.account.closed_orders_lag = seconds
        self._spoiled = True

    def clear(self) -> None:
        """The run is over, and what was armed for it too; what hangs comes to its end."""
        self._world.come_to_rest()
        kraken = self._world.kraken
        kraken.clear_faults()
        kraken.account.fill_mode, kraken.account.closed_orders_lag = Instant(), 0.0
        if self._locks_out:
            self._locked_until = self._world.clock.now() + LOCKED_SECONDS
        self._spoiled, self._locks_out, self.ending = False, False, None
