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

    @property
    def is_trading_active(self) -> bool:
        """Whether positions may be opened: ACTIVE, not frozen, buys enabled, and the drawdown guard has not tripped."""
        return not self.paused and not self.frozen and self.buy_enabled and self.tripped_at is None


def describe_system(system_status: str, frozen: bool, why: str) -> str:
    return system_status + (" and FROZEN: positions are unguarded" if frozen else "") + (f" ({why})" if why else "")


def describe_frozen(open_trades: int, resting: int) -> str:
    """Who guards the open trades of a frozen system: stops that rest at the exchange, or nobody."""
    if not resting:
        return f"{open_trades} open positions are NOT guarded"
    if resting >= open_trades:
        return f"{open_trades} open positions are guarded at Kraken only, by their resting stops"
    guarded = f"{resting} of {open_trades} open positions are guarded at Kraken only, by their resting stops"
    return f"{guarded}; {open_trades - resting} are NOT guarded"


def frozen_refusal() -> Refused:
    return Refused("botctl is frozen: only `botctl liquidate` sends orders", hint="`botctl resume` ends the freeze")


def inactive_refusal(state: SwitchState) -> Refused:
    """Why the switch allows no buy."""
    if state.paused:
        problem = f"entries are paused ({state.why or 'no reason given'})"
        return Refused(problem, hint="`botctl resume` allows entries")
    if state.frozen:
        return frozen_refusal()
    if state.tripped_at:
        problem = f"the drawdown guard tripped at {state.tripped_at:%Y-%m-%d %H:%M} UTC"
        return Refused(problem, hint="`botctl resume --enable-buys` allows buys again")
    return Refused("buys are disabled", hint="`botctl resume --enable-buys` allows them again")
