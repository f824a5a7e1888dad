"""The state of the kill switch."""

from dataclasses import dataclass, field
from datetime import datetime

from botctl.domain.errors import Refused
from botctl.domain.serialization import NOT_IN_JSON
from botctl.domain.text import counted, format_moment

ACTIVE, PAUSED = "ACTIVE", "PAUSED"


@dataclass(frozen=True)
class SwitchState:
    """The switch as read at one moment. `why` is the reason for a pause."""

    system_status: str
    frozen: bool
    buy_enabled: bool
    tripped_at: datetime | None
    why: str = ""
    readable: bool = field(default=True, metadata=NOT_IN_JSON)
    """False where the stored switch is damaged or out of reach: it counts as paused."""

    @property
    def paused(self) -> bool:
        return self.system_status != ACTIVE

    @property
    def is_trading_active(self) -> bool:
        """Whether positions may be opened: ACTIVE, not frozen, buys enabled, and the drawdown guard has not tripped."""
        return not self.paused and not self.frozen and self.buy_enabled and self.tripped_at is None


def describe_frozen(open_trades: int, resting: int) -> str:
    """Who guards the open trades of a frozen system: stops that rest at the exchange, or nobody."""
    if not resting:
        return f"{counted(open_trades, 'open position is', 'open positions are')} NOT guarded"
    if resting >= open_trades:
        held = counted(open_trades, "open position is", "open positions are")
        return f"{held} guarded at Kraken only, by {'its resting stop' if open_trades == 1 else 'their resting stops'}"
    guarded = f"{resting} of {open_trades} open positions are guarded at Kraken only, by their resting stops"
    return f"{guarded}; {counted(open_trades - resting, 'is', 'are')} NOT guarded"


@dataclass(frozen=True)
class SwitchSince:
    """Since when the switch is as it is; None where its events do not tell."""

    paused: datetime | None = None
    frozen: datetime | None = None
    buys_disabled: datetime | None = None
    why_no_buys: str = ""


def switch_sentence(
    state: SwitchState,
    since: SwitchSince,
    now: datetime,
    *,
    open_trades: int,
    resting: int = 0,
    unchecked: str = "",
    no_buys: str = "",
) -> str:
    """What the switch lets happen and what not, in words that can't be misread.

    `resting` stops rest at the exchange. `unchecked` is why no stop is checked though the switch allows it (no ticks
    come), `no_buys` why settings allow no buys.
    """
    if state.frozen:
        left = "" if not open_trades else f": {describe_frozen(open_trades, resting)}"
        return (
            f"FROZEN{_since(since.frozen, now)}{_reason(state.why)}. No stop is checked and no order is sent{left}. "
            "`botctl resume` ends it."
        )
    stops = f"Stops are NOT checked: {unchecked}." if unchecked else "Each tick checks the stops."
    parts = _what_stops_buys(state, since, now)
    if not parts:
        parts = [f"Active, but {no_buys}: no new buys."] if no_buys else ["Active. Buys are allowed."]
    if state.tripped_at and not unchecked:
        stops = f"Each tick sells what is still open ({counted(open_trades, 'position')})." if open_trades else ""
    return " ".join(filter(None, [*parts, stops]))


def _what_stops_buys(state: SwitchState, since: SwitchSince, now: datetime) -> list[str]:
    parts = []
    if not state.readable:
        parts.append(f"Unknown: {state.why}. No new buys.")
    elif state.paused:
        parts.append(f"Paused{_since(since.paused, now)}{_reason(state.why)}. No new buys.")
    if state.tripped_at:
        when = format_moment(state.tripped_at, now)
        parts.append(f"The drawdown guard tripped at {when}: no new buys until `botctl resume --enable-buys`.")
    elif not state.buy_enabled and state.readable:
        why = _reason(since.why_no_buys)
        parts.append(
            f"Buys are disabled{_since(since.buys_disabled, now)}{why}: `botctl resume --enable-buys` allows them."
        )
    return parts


def _since(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else f" since {format_moment(moment, now)}"


def _reason(why: str) -> str:
    return f" ({why})" if why else ""


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
