"""The drawdown guard: sells everything and disables buys when the account has lost too much."""

import logging
from dataclasses import KW_ONLY, dataclass, field, replace
from decimal import Decimal

from botctl.domain.equity import calculate_drawdown
from botctl.domain.errors import BotError, ConfigError, ExchangeUnreachable
from botctl.domain.holdings import Missing
from botctl.domain.money import cents
from botctl.domain.orders import ExitReason
from botctl.ports import Clock
from botctl.store.journal import Journal
from botctl.store.kill_switch import Switch
from botctl.trading.evidence.account_check import AccountCheck, Valuation
from botctl.trading.evidence.first_valuation import InitialBalance
from botctl.trading.exits import Exits
from botctl.trading.position_manager import PositionManager
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot, SnapshotService

log = logging.getLogger(__name__)


@dataclass
class GuardReport:
    """The outcome of a check. `drawdown` is None while it is unknown: then nothing is liquidated or bought."""

    valuation: Valuation
    drawdown: Decimal | None
    snapshot: Snapshot
    """What was judged: the second look, if there was one."""
    tripped: bool = False
    exits: Exits = field(default_factory=Exits)
    errors: list[BotError] = field(default_factory=list)

    @property
    def equity(self) -> Decimal | None:
        return self.valuation.equity

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Coins that the balances lack. The equity counts them."""
        return self.snapshot.missing


def unknown_initial_balance() -> ConfigError:
    return ConfigError("the drawdown is not guarded: INITIAL_BALANCE is not known", hint="set it in .env")


@dataclass
class DrawdownGuard:
    snapshots: SnapshotService
    positions: PositionManager
    journal: Journal
    switch: Switch
    clock: Clock
    account: AccountCheck | None
    """None where prices and balances are our own: those of a history can't lie."""
    _: KW_ONLY
    initial_balance: Decimal | None
    """None when it is not known: then the drawdown isn't either."""
    max_drawdown: Decimal

    def check_drawdown(self, snapshot: Snapshot | None = None, *, act: bool = True) -> GuardReport:
        """Beyond the limit, confirmed by a second snapshot: sell everything, and disable buys until the user allows it.

        A figure that contradicts what is known trips nothing: the drawdown is beyond the limit if it is at the highest
        equity that the figures allow, and within it if it is at the lowest. A tripped guard stays tripped: every later
        check sells what is still open. An INITIAL_BALANCE that no look has agreed with trips nothing either, unless our
        own orders have lost the difference. Without `act` it only reports.
        """
        snapshot = snapshot or self._take_snapshot()
        report = self._measure(snapshot)
        tripped_before = self.switch.read().tripped_at is not None
        if not tripped_before:
            if not self._too_deep(report.valuation.low):
                return report
            report = self._second_measurement()
            if not self._too_deep(report.valuation.high):
                return report
            report = replace(report, valuation=replace(report.valuation, equity=report.valuation.high))
            if (refusal := self._refusal(report)) is not None:
                return replace(report, drawdown=None, errors=[*report.errors, refusal])
            report.drawdown = self._drawdown_of(report.equity)
        report.tripped = True
        if act:
            if not tripped_before:
                report.errors += self._trip(report.equity, report.drawdown)
            report.exits = self.positions.close_all(ExitReason.DRAWDOWN, report.snapshot)
        return report

    def confirm_equity(self, report: GuardReport) -> GuardReport:
        """The report with the equity that the candles confirm, where its prices are doubtful. Keeps what is believed.

        Called after the stops: it may fetch candles.
        """
        if report.tripped:
            return report
        if self.initial_balance is not None and report.drawdown is not None and report.valuation.low is not None:
            self._evidence(self.initial_balance).prove(report.valuation.low)
        if self.account is None:
            return report
        valuation, errors = self.account.confirm(report.snapshot, report.valuation)
        drawdown = None if report.drawdown is None else self._drawdown_of(valuation.equity)
        return replace(report, valuation=valuation, drawdown=drawdown, errors=report.errors + errors)

    def _take_snapshot(self) -> Snapshot:
        return self.snapshots.take_snapshot(self.journal.open_symbols())

    def _measure(self, snapshot: Snapshot, *, closely: bool = False) -> GuardReport:
        equity = snapshot.equity
        if self.account is None or equity is None:
            valuation = Valuation(equity, equity, equity)
        else:
            valuation = self.account.value_closely(snapshot) if closely else self.account.value(snapshot)
        errors = list(snapshot.problems) if equity is None else []
        if self.initial_balance is None:
            errors.append(unknown_initial_balance())
        valuation = _with_unvalued(valuation, snapshot.unvalued)
        return GuardReport(valuation, self._drawdown_of(valuation.equity), snapshot, errors=errors)

    def _drawdown_of(self, equity: Decimal | None) -> Decimal | None:
        if equity is None or self.initial_balance is None:
            return None
        return calculate_drawdown(equity, self.initial_balance)

    def _too_deep(self, equity: Decimal | None) -> bool:
        drawdown = self._drawdown_of(equity)
        return drawdown is not None and drawdown > self.max_drawdown

    def _second_measurement(self) -> GuardReport:
        """One bad price or balance must not sell everything, nor an unknown one allow buys."""
        self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        second = self._measure(self._take_snapshot(), closely=True)
        low, high = self._too_deep(second.valuation.low), self._too_deep(second.valuation.high)
        if not low:
            log.warning("a drawdown beyond %s was not confirmed by a second snapshot", self.max_drawdown)
        elif not high:
            second.drawdown = None
            second.errors.append(_undecided(second.valuation))
        return second

    def _refusal(self, report: GuardReport) -> ConfigError | None:
        """Why it is no loss but a wrong INITIAL_BALANCE, if it is. What can't be read is no evidence of that."""
        if self.initial_balance is None or report.equity is None:
            return None
        try:
            return self._evidence(self.initial_balance).refusal(report.snapshot, report.equity)
        except (BotError, ArithmeticError) as error:
            log.warning("INITIAL_BALANCE can't be compared with earlier runs: %s", error)
            return None

    def _evidence(self, initial_balance: Decimal) -> InitialBalance:
        return InitialBalance(initial_balance, self.max_drawdown, self.snapshots.quote_currency)

    def _trip(self, equity: Decimal | None, drawdown: Decimal | None) -> list[BotError]:
        message = (
            f"drawdown guard tripped: equity {cents(equity)} is "
            f"{cents(100 * (drawdown or Decimal(0)))} % below {cents(self.initial_balance)} "
            f"(limit {cents(100 * self.max_drawdown)} %); selling everything, buys disabled"
        )
        errors: list[BotError] = []
        try:
            self.switch.trip(self.clock.now(), message)
        except BotError as error:
            errors.append(error)  # selling goes on: an unreadable switch allows no buys anyway
        log.error("%s", message)
        return errors


def _with_unvalued(valuation: Valuation, at_most: Decimal) -> Valuation:
    """What can't be valued counts between nothing and its highest price: both must be on one side of the limit."""
    if at_most == 0 or valuation.high is None:
        return valuation
    differences = (*valuation.differences, "coins without a market can't be valued")
    return replace(valuation, high=valuation.high + at_most, differences=differences)


def _undecided(valuation: Valuation) -> ExchangeUnreachable:
    return ExchangeUnreachable(
        f"the equity is between {cents(valuation.low)} and {cents(valuation.high)}, so the drawdown is unknown: "
        + "; ".join(valuation.differences),
        hint="nothing is liquidated or bought; a balance that lasts for a quarter of an hour is believed",
    )
