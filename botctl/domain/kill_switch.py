"""The state of the kill switch."""

from dataclasses import dataclass
from datetime import datetime

from botctl.domain.errors import Refused

ACTIVE, PAUSED = "ACTIVE", "PAUSED"


@dataclass(frozen=True)
class SwitchState:
    """The switch as read at one moment. `why` is the reason for a pause."""

    system_status: str
    frozen: bool
    buy_enabled: bool
    tripped_at: datetime | None
    why: str = ""

    @property
    def paused(self) -> bool:
        return self.system_status != ACTIVE


def describe_system(system_status: str, frozen: bool, why: str) -> str:
    return system_status + (" and FROZEN: positions are unguarded" if frozen else "") + (f" ({why})" if why else "")


def frozen_refusal() -> Refused:
    return Refused("botctl is frozen: only `botctl liquidate` sends orders", hint="`botctl resume` ends the freeze")
