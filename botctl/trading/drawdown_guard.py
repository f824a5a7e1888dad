"""The drawdown guard: sells everything and disables buys when the account has lost too much."""

import logging
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal

from botctl.domain.equity import calculate_drawdown
from botctl.domain.errors import BotError, ConfigError
from botctl.domain.holdings import Missing
from botctl.domain.orders import ExitReason
from botctl.ports import Clock
from botctl.store.journal import Journal
from botctl.store.kill_switch import Switch
from botctl.trading.exits import Exits
from botctl.trading.position_manager import PositionManager
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot, SnapshotService

log = logging.getLogger(__name__)


@dataclass
class GuardReport:
    """The outcome of a check. `drawdown` is None while it is unknown: then nothing is liquidated or bought."""

    equity: Decimal | None
    drawdown: Decimal | None
    missing: tuple[Missing, ...] = ()
    """Coins that the balances lack. The equity counts them."""
    tripped: bool = False
    exits: Exits = field(default_factory=Exits)
    errors: list[BotError] = field(default_factory=list)


def unknown_initial_balance() -> ConfigError:
    return ConfigError("the drawdown is not guarded: INITIAL_BALANCE is not known", hint="set it in .env")


@dataclass
class DrawdownGuard:
    snapshots: SnapshotService
    positions: PositionManager
    journal: Journal
    switch: Switch
    clock: Clock
    _: KW_ONLY
    initial_balance: Decimal | None
    """None when it is not known: then the drawdown isn't either."""
    max_drawdown: Decimal

    def check_drawdown(self, snapshot: Snapshot | None = None, *, act: bool = True) -> GuardReport:
        """Beyond the limit, confirmed by a second snapshot: sell everything, and disable buys until the user allows it.

        A tripped guard stays tripped: every later check sells what is still open. Without `act` it only reports.
        """
        snapshot = snapshot or self._take_snapshot()
        report = self._measure(snapshot)
        tripped_before = self.switch.read().tripped_at is not None
        if not tripped_before:
            if not self._too_deep(report):
                return report
            second = self._second_measurement()
            if not self._too_deep(second):
                return second
        report.tripped = True
        if act:
            if not tripped_before:
                report.errors += self._trip(report.equity, report.drawdown)
            report.exits = self.positions.close_all(ExitReason.DRAWDOWN, snapshot)
        return report

    def _take_snapshot(self) -> Snapshot:
        return self.snapshots.take_snapshot(self.journal.open_symbols())

    def _measure(self, snapshot: Snapshot) -> GuardReport:
        if snapshot.equity is None:
            return GuardReport(None, None, snapshot.missing, errors=list(snapshot.problems))
        if self.initial_balance is None:
            return GuardReport(snapshot.equity, None, snapshot.missing, errors=[unknown_initial_balance()])
        drawdown = calculate_drawdown(snapshot.equity, self.initial_balance)
        return GuardReport(snapshot.equity, drawdown, snapshot.missing)

    def _too_deep(self, report: GuardReport) -> bool:
        return report.drawdown is not None and report.drawdown > self.max_drawdown

    def _second_measurement(self) -> GuardReport:
        """One bad price or balance must not sell everything, nor an unknown one allow buys."""
        self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        second = self._measure(self._take_snapshot())
        if not self._too_deep(second):
            log.warning("a drawdown beyond %s was not confirmed by a second snapshot", self.max_drawdown)
        return second

    def _trip(self, equity: Decimal | None, drawdown: Decimal | None) -> list[BotError]:
        message = (
            f"drawdown guard tripped: equity {equity:.2f} is {100 * (drawdown or 0):.2f} % below "
            f"{self.initial_balance:.2f} (limit {100 * self.max_drawdown:.2f} %); selling everything, buys disabled"
        )
        errors: list[BotError] = []
        try:
            self.switch.trip(self.clock.now(), message)
        except BotError as error:
            errors.append(error)  # selling goes on: an unreadable switch allows no buys anyway
        log.error("%s", message)
        return errors
