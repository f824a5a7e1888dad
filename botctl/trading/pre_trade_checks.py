"""Whether an order is allowed now: the safety rules that stand before every buy, and the few before a sell."""

from datetime import datetime, timedelta
from functools import cached_property

from botctl.domain.errors import OutcomeUnknown, Refused
from botctl.domain.kill_switch import frozen_refusal
from botctl.domain.orders import ExitReason
from botctl.domain.settings import live_trading_disabled_error
from botctl.domain.symbols import base_of
from botctl.store.database import complaint_of_open, opened_where
from botctl.store.journal import Journal, already_open
from botctl.store.kill_switch import Switch
from botctl.store.rows import TradeRow
from botctl.store.sqlite import damaged


class PreTradeChecks:
    """Asks the settings, the switch and the journal. Raises Refused with the rule that said no, or ConfigError
    for real money without an explicit yes (`lacks_yes`)."""

    def __init__(
        self,
        switch: Switch,
        journal: Journal,
        *,
        max_open_trades: int,
        cooldown: timedelta,
        live_trading_disabled: bool = False,
    ) -> None:
        self.switch = switch
        self.journal = journal
        self.max_open_trades = max_open_trades
        self.cooldown = cooldown
        self.live_trading_disabled = live_trading_disabled

    def check(self, symbol: str, now: datetime) -> None:
        """Every rule, the switch first. Asked early, to save the calls, and again as the buy is written down."""
        if self.live_trading_disabled:
            raise live_trading_disabled_error()
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

    def check_exit(self, trade: TradeRow, reason: ExitReason) -> None:
        """Whether a trade may be sold: not while frozen, but by liquidate, nor beside an order that may still sell it.

        Raises Refused or OutcomeUnknown."""
        if reason is not ExitReason.LIQUIDATION and self.switch.read().frozen:
            raise frozen_refusal()
        if trade.id in self.journal.unsettled_trade_ids():
            raise OutcomeUnknown(f"trade {trade.id} has an order whose ending is unknown", hint="see `botctl orders`")

    def check_database(self) -> None:
        """Raises ConfigError when the database is damaged: a buy that it may lose is not made. Sells never ask."""
        if self._complaint is not None:
            raise damaged(opened_where(), self._complaint)

    @cached_property
    def _complaint(self) -> str | None:
        """Once a run: it reads the whole file."""
        return complaint_of_open()

    def check_switch(self) -> None:
        """The kill switch alone."""
        state = self.switch.read()
        if state.paused:
            raise Refused(
                f"entries are paused ({state.why or 'no reason given'})", hint="`botctl resume` allows entries"
            )
        if state.frozen:
            raise frozen_refusal()
        if state.tripped_at:
            raise Refused(
                f"the drawdown guard tripped at {state.tripped_at:%Y-%m-%d %H:%M} UTC",
                hint="`botctl resume --enable-buys` allows buys again",
            )
        if not state.buy_enabled:
            raise Refused("buys are disabled", hint="`botctl resume --enable-buys` allows them again")
