"""What the kill switch says."""

from dataclasses import dataclass
from datetime import datetime

from botctl.domain.errors import Refused

ACTIVE, PAUSED = "ACTIVE", "PAUSED"


@dataclass(frozen=True)
class SwitchState:
    """One reading of the switch. `why` says what paused it."""

    system_status: str
    frozen: bool
    buy_enabled: bool
    tripped_at: datetime | None
    why: str = ""

    @property
    def paused(self) -> bool:
        return self.system_status != ACTIVE


def system_in_words(system_status: str, frozen: bool, why: str) -> str:
    """Whether the system trades, and what paused it."""
    return system_status + (" and FROZEN: positions are unguarded" if frozen else "") + (f" ({why})" if why else "")


def frozen_refusal() -> Refused:
    """Why an order is not sent while botctl is frozen."""
    return Refused("botctl is frozen: no order but liquidate's is sent", hint="`botctl resume` thaws it")
