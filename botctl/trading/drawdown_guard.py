"""The drawdown guard: sells everything and disables buys when the account has lost too much."""

import logging
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from decimal import Decimal

from botctl.domain.account.equity import value_of
from botctl.domain.account.holdings import Missing
from botctl.domain.account.performance import Performance
from botctl.domain.errors import BotError, ConfigError, ExchangeUnreachable, Refused, most_severe
from botctl.domain.money import cents, total
from botctl.domain.orders import ExitReason
from botctl.ports import Clock
from botctl.store.evidence.known_account import load_fills_since, newest_event
from botctl.store.evidence.performance import SavedPerformance, load_performance, save_look
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
    performance: Performance | None
    """With the flows that are certain now; None while INITIAL_BALANCE is not known."""
    drawdown: Decimal | None
    snapshot: Snapshot
    """What was judged: the second look, if there was one."""
    drawdown_peak: Decimal | None = None
    """From the highest performance so far; None while it is unknown."""
    new_base: bool = False
    """Whether INITIAL_BALANCE has not been measured from before: flows that are in doubt now are in it already."""
    last_event: int = 0
    """The newest event before the look: later fills are not in its balances."""
    tripped: bool = False
    exits: Exits = field(default_factory=Exits)
    errors: list[BotError] = field(default_factory=list)

    @property
    def equity(self) -> Decimal | None:
        return self.valuation.equity

    @property
    def highest(self) -> Decimal | None:
        """The highest equity that the figures allow, counted from the base that is believed."""
        return self._either(max, self.valuation.high, self.valuation.shown_high)

    @property
    def lowest(self) -> Decimal | None:
        return self._either(min, self.valuation.low, self.valuation.shown_low)

    def _either(
        self, choose: Callable[..., Decimal], believed: Decimal | None, shown: Decimal | None
    ) -> Decimal | None:
        """Flows in doubt may be flows or wrong balances; each way the account has a performance of its own."""
        look, here = self.valuation.look, self.performance
        if believed is None or shown is None or here is None or look is None or not look.holdings.pending:
            return believed
        there = here
        for flow in () if self.new_base else look.holdings.pending.values():
            there = there.after_flow(flow.before, flow.after)
        return choose(believed, there.unit_at(shown) * here.base)

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
    max_drawdown_peak: Decimal | None = None
    """The limit below the highest performance so far; None without one."""

    def check_drawdown(self, snapshot: Snapshot | None = None, *, act: bool = True) -> GuardReport:
        """Beyond the limit, confirmed by a second snapshot: sell everything, and disable buys until the user allows it.

        Deposits and withdrawals are no loss. A figure that contradicts what is known trips nothing: the drawdown is
        beyond the limit if it is at the highest equity that the figures allow, and within it if it is at the lowest.
        A tripped guard stays tripped: every later check sells what is still open. An INITIAL_BALANCE that no look has
        agreed with trips nothing either, unless our own orders have lost the difference. Without `act` it only reports.
        """
        snapshot = snapshot or self._take_snapshot()
        report = self._measure(snapshot)
        tripped_before = self.switch.read().tripped_at is not None
        if not tripped_before:
            if not self._too_deep(report, report.lowest):
                return report
            report = self._second_measurement()
            if not self._too_deep(report, report.highest):
                return report
            report = self._measured_at(report, report.highest)
            if (refusal := self._refusal(report)) is not None:
                return replace(report, drawdown=None, drawdown_peak=None, errors=[*report.errors, refusal])
        report.tripped = True
        if act:
            if not tripped_before:
                report.errors += self._trip(report)
            report.exits = self.positions.liquidate_all(ExitReason.DRAWDOWN, report.snapshot)
        return report

    def certain_equity(self, report: GuardReport) -> Decimal | None:
        """What the account is worth at least, of all that the figures of a look allow: entries are sized by it. None
        when it can't be valued.

        The first look is compared with nothing that was seen before: it counts for INITIAL_BALANCE at most.
        """
        valuation, look = report.valuation, report.valuation.look
        figures = [valuation.equity, valuation.low, valuation.shown_low]
        if self.account is not None and (look is None or look.known.at is None):
            figures.append(self.initial_balance)
        return None if valuation.equity is None else min(each for each in figures if each is not None)

    def check_before_buy(self) -> None:
        """A buy by hand may come before any tick: until a look has agreed with INITIAL_BALANCE it takes one of its own.

        Raises why the drawdown is unknown, or Refused when it is beyond the limit. Keeps nothing, sells nothing.
        """
        if self.account is None or self.initial_balance is None or self._evidence(self.initial_balance).is_proved():
            return
        self.look_before_buy()

    def look_before_buy(self) -> GuardReport:
        """A look that keeps and sells nothing. Raises as `check_before_buy` does."""
        report = self.check_drawdown(act=False)
        if report.drawdown is None:
            raise most_severe(report.errors)
        if report.tripped:
            problem = f"the account is worth {cents(report.equity)}, which is beyond MAX_DRAWDOWN"
            raise Refused(problem, hint="the next tick sells everything, and disables buys")
        return report

    def confirm_equity(self, report: GuardReport) -> GuardReport:
        """The report with the equity that the candles confirm, where its prices are doubtful. Keeps what is believed.

        Called after the stops, or what a tripped guard sells: it may fetch candles.
        """
        if self.account is not None:
            valuation, errors = self.account.confirm(report.snapshot, report.valuation)
            confirmed = replace(report, valuation=valuation, errors=report.errors + errors)
            report = confirmed if report.drawdown is None else self._measured_at(confirmed, valuation.equity)
        self._remember(report)
        return report

    def value_again(self, report: GuardReport) -> GuardReport:
        """The report after the run's own trades: the same prices, the new holdings. Makes no request."""
        changes = load_fills_since(report.last_event)
        if report.equity is None or not any(changes.values()):
            return report
        quote, prices = self.snapshots.quote_currency, report.snapshot.prices
        values = [value_of(currency, change, quote, prices) for currency, change in changes.items()]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return report
        again = self._measured_at(report, report.equity + total(known))
        return again if report.drawdown is not None else replace(again, drawdown=None, drawdown_peak=None)

    def _remember(self, report: GuardReport) -> None:
        """Keep what the account holds and, once INITIAL_BALANCE has agreed with it, the performance."""
        saved, equity = None, report.equity
        if self.initial_balance is not None and report.performance is not None and equity is not None:
            evidence = self._evidence(self.initial_balance)
            if report.drawdown is not None:
                evidence.prove(report.performance.unit_at(report.lowest or equity) * self.initial_balance)
            if evidence.is_proved():
                possible = [each for each in (report.valuation.lowest, report.lowest) if each is not None]
                seen = report.performance.seen_at(equity, min(possible, default=equity))
                saved = SavedPerformance(self.initial_balance, seen)
        if self.account is not None:
            self.account.remember(report.snapshot, report.valuation, saved, new_base=report.new_base)
        elif saved is not None and saved != load_performance():
            save_look(None, saved, (), self.snapshots.quote_currency, report.snapshot.at)

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
        report = GuardReport(
            valuation, self._performance(valuation), None, snapshot, new_base=self._saved() is None,
            last_event=newest_event(), errors=errors,
        )  # fmt: skip
        return self._measured_at(report, valuation.equity)

    def _performance(self, valuation: Valuation) -> Performance | None:
        """From INITIAL_BALANCE, or as the last look left it, with the flows that are certain now."""
        if self.initial_balance is None:
            return None
        saved = self._saved()
        if saved is None:
            return Performance(self.initial_balance)
        performance = saved.performance
        for flow in () if valuation.look is None else valuation.look.flows:
            performance = performance.after_flow(flow.before, flow.after)
        return performance

    def _saved(self) -> SavedPerformance | None:
        """What was measured from this INITIAL_BALANCE before."""
        saved = load_performance()
        return None if saved is None or saved.initial_balance != self.initial_balance else saved

    def _measured_at(self, report: GuardReport, equity: Decimal | None) -> GuardReport:
        """The report with this equity, and its drawdowns."""
        report = replace(report, valuation=replace(report.valuation, equity=equity), drawdown=None, drawdown_peak=None)
        if equity is not None and report.performance is not None:
            report.drawdown = report.performance.drawdown_at(equity)
            report.drawdown_peak = report.performance.seen_at(equity).drawdown_from_peak(equity)
        return report

    def _too_deep(self, report: GuardReport, equity: Decimal | None) -> bool:
        if report.performance is None or equity is None:
            return False
        if report.performance.drawdown_at(equity) > self.max_drawdown:
            return True
        limit = self.max_drawdown_peak
        return limit is not None and report.performance.drawdown_from_peak(equity) > limit

    def _second_measurement(self) -> GuardReport:
        """One bad price or balance must not sell everything, nor an unknown one allow buys."""
        self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        second = self._measure(self._take_snapshot(), closely=True)
        low, high = self._too_deep(second, second.lowest), self._too_deep(second, second.highest)
        if not low:
            log.warning("a drawdown beyond %s was not confirmed by a second snapshot", self.max_drawdown)
        elif not high:
            second.drawdown = second.drawdown_peak = None
            second.errors.append(_undecided(second))
        return second

    def _refusal(self, report: GuardReport) -> ConfigError | None:
        """Why it is no loss but a wrong INITIAL_BALANCE, if it is. What can't be read is no evidence of that."""
        if self.initial_balance is None or report.equity is None or (report.drawdown or 0) <= self.max_drawdown:
            return None
        try:
            return self._evidence(self.initial_balance).refusal(report.snapshot, report.equity)
        except (BotError, ArithmeticError) as error:
            log.warning("INITIAL_BALANCE can't be compared with earlier runs: %s", error)
            return None

    def _evidence(self, initial_balance: Decimal) -> InitialBalance:
        return InitialBalance(initial_balance, self.max_drawdown, self.snapshots.quote_currency)

    def _trip(self, report: GuardReport) -> list[BotError]:
        here, down, limit = report.performance, report.drawdown or Decimal(0), self.max_drawdown
        base, name = (here.base if here else Decimal(0)), ""
        if down <= limit and here is not None and self.max_drawdown_peak is not None:
            base, name = here.base * here.peak, "its peak of "
            down, limit = report.drawdown_peak or Decimal(0), self.max_drawdown_peak
        message = (
            f"drawdown guard tripped: equity {cents(report.equity)} is {cents(100 * down)} % below {name}{cents(base)} "
            f"(limit {cents(100 * limit)} %); selling everything, buys disabled"
        )
        errors: list[BotError] = []
        try:
            self.switch.trip(self.clock.now(), message)
        except BotError as error:
            errors.append(error)  # selling goes on: an unreadable switch allows no buys anyway
        log.error("%s", message)
        return errors


def _undecided(report: GuardReport) -> ExchangeUnreachable:
    return ExchangeUnreachable(
        f"the equity is between {cents(report.lowest)} and {cents(report.highest)}, so the drawdown is unknown: "
        + "; ".join(report.valuation.differences),
        hint="nothing is liquidated or bought; a balance that lasts for a quarter of an hour is believed",
    )
