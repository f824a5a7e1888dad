"""Whether an entry is allowed now: the safety rules that stand before every buy."""

from datetime import datetime, timedelta

from botctl.domain.candles import base_of
from botctl.domain.errors import Refused
from botctl.store.journal import Journal, already_open
from botctl.store.switch import Switch


class EntryGate:
    """Asks the switch and the journal. Raises Refused with the rule that said no."""

    def __init__(self, switch: Switch, journal: Journal, *, max_open_trades: int, cooldown: timedelta) -> None:
        self.switch = switch
        self.journal = journal
        self.max_open_trades = max_open_trades
        self.cooldown = cooldown

    def check(self, symbol: str, now: datetime) -> None:
        """Every rule, the switch first."""
        self.check_switch()
        asset = base_of(symbol)
        if (trade := self.journal.active_trade(asset)) is not None:
            raise already_open(asset, trade)
        last_exit = self.journal.last_exit_at(asset)
        if last_exit is not None and (until := last_exit + self.cooldown) > now:
            raise Refused(
                f"{asset} cools down until {until:%Y-%m-%d %H:%M} UTC after its last exit",
                hint="wait, or lower COOLDOWN_MINUTES",
            )
        if (active := self.journal.active_count()) >= self.max_open_trades:
            raise Refused(f"{active} trades are active, MAX_OPEN_TRADES is {self.max_open_trades}")

    def check_switch(self) -> None:
        """The kill switch alone: read again right before each entry order."""
        state = self.switch.read()
        if state.paused:
            raise Refused(
                f"entries are paused ({state.why or 'no reason given'})", hint="`botctl resume` allows entries"
            )
        if state.tripped_at:
            raise Refused(
                f"the drawdown guard tripped at {state.tripped_at:%Y-%m-%d %H:%M} UTC",
                hint="`botctl resume --enable-buys` allows buys again",
            )
        if not state.buy_enabled:
            raise Refused("buys are disabled", hint="`botctl resume --enable-buys` allows them again")
