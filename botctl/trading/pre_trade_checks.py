"""Pre-trade checks: the rules that every buy must pass, and the few that a sell must pass."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from functools import cached_property

from botctl.domain.errors import ConfigError, OutcomeUnknown, Refused
from botctl.domain.freshness import is_in_force
from botctl.domain.kill_switch import frozen_refusal, inactive_refusal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import base_of
from botctl.store.database import opened_where
from botctl.store.evidence.gone_markets import gone_assets
from botctl.store.evidence.missing_coins import load_missing
from botctl.store.journal import Journal, already_open
from botctl.store.kill_switch import Switch
from botctl.store.rows import TradeRow
from botctl.store.sqlite import damaged
from botctl.store.upkeep.daily_check import find_damage_daily
from botctl.trading.evidence import unrecorded_orders


@dataclass
class PreTradeChecks:
    """Checks against the settings, the kill switch and the journal. They raise Refused with the rule that failed, or
    ConfigError while the settings allow no buys."""

    switch: Switch
    journal: Journal
    _: KW_ONLY
    max_open_trades: int
    cooldown: timedelta
    no_buys: ConfigError | None = None
    """Why the settings allow no buys, if they don't."""

    def check(self, symbol: str, now: datetime) -> None:
        """Every rule for a buy. Called early, to save requests, and again when the buy is recorded."""
        if self.no_buys is not None:
            raise self.no_buys
        self.check_switch()
        check_holdings()
        self.journal.check_rows()
        asset = base_of(symbol)
        unrecorded_orders.check_entry(asset)
        self.check_room(symbol, now)

    def check_room(self, symbol: str, now: datetime, *, leaving: int = 0) -> None:
        """The rules that often keep one asset from being bought. `leaving` is how many active trades may be sold before
        the buy."""
        asset = base_of(symbol)
        if (trade := self.journal.active_trade(asset)) is not None:
            raise already_open(asset, trade)
        if (until := self.cooldown_until(asset, now)) is not None:
            problem = f"{asset} cools down until {until:%Y-%m-%d %H:%M} UTC after its last exit"
            raise Refused(problem, hint="wait, or lower COOLDOWN_MINUTES")
        if (active := self.journal.active_count()) - leaving >= self.max_open_trades:
            raise Refused(f"{active} trades are active, MAX_OPEN_TRADES is {self.max_open_trades}")

    def cooldown_until(self, asset: str, now: datetime) -> datetime | None:
        """When the asset may be bought again after its last exit; None without a cool-down now."""
        last_exit = self.journal.last_exit_time(asset)
        if last_exit is None or not is_in_force(until := last_exit + self.cooldown, now, 2 * self.cooldown):
            return None
        return until

    def check_exit(self, trade: TradeRow, reason: ExitReason) -> None:
        """The rules for a sell: not while frozen, except by liquidate, nor while the trade has an unsettled order.

        Raises Refused or OutcomeUnknown.
        """
        if reason is not ExitReason.LIQUIDATION and self.switch.read().frozen:
            raise frozen_refusal()
        if trade.id in self.journal.unsettled_trade_ids():
            raise OutcomeUnknown(f"trade {trade.id} has an order whose ending is unknown", hint="see `botctl orders`")

    def check_database(self) -> None:
        """Raises ConfigError when the database is damaged: a buy could be lost with it. Sells are not checked."""
        if self._damage is not None:
            raise damaged(opened_where(), self._damage)

    @cached_property
    def _damage(self) -> str | None:
        """At most once a run: the check reads the whole file."""
        return find_damage_daily()

    def check_switch(self) -> None:
        state = self.switch.read()
        if not state.is_trading_active:
            raise inactive_refusal(state)


def check_holdings() -> None:
    """Raises Refused while the last look at the balances contradicts our own orders."""
    gone = gone_assets()  # a coin that left with its market says nothing about the others
    if missing := [each for asset, each in load_missing().items() if asset not in gone]:
        record = missing[0]
        raise Refused(
            f"{record.missing} since {record.since:%Y-%m-%d %H:%M} UTC",
            hint="nothing is bought until the balance shows them: run `botctl check-positions`",
        )
