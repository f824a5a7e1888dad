"""One tick, from top to bottom: settle orders, guard the open positions, and only then seek entries."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial

from botctl.domain.errors import BotError, Refused, bug, exit_code_of, explain_failure
from botctl.store import ticks
from botctl.store.pruning import prune
from botctl.store.rows import DecisionRow
from botctl.trading.bot import Bot
from botctl.trading.exact_figures import complete_figures
from botctl.trading.exits import Exits
from botctl.trading.results import OrderResult, StepView, TickView, view_decision
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)


@dataclass
class TickState:
    """The state of one tick: each step reads it, and adds its results."""

    at: datetime
    steps: list[StepView] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    exits: list[OrderResult] = field(default_factory=list)
    entries: list[OrderResult] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    snapshot: Snapshot | None = None
    """Prices and balances; the steps that need them run only after they were fetched."""
    equity: Decimal | None = None
    drawdown: Decimal | None = None
    tripped: bool = False
    detail: str = ""

    @property
    def fetched_snapshot(self) -> Snapshot:
        if self.snapshot is None:
            raise AssertionError("this step needs a snapshot")
        return self.snapshot

    @property
    def exit_code(self) -> int:
        """3 for a tripped guard, else the exit code of the errors."""
        return Refused.exit_code if self.tripped else exit_code_of(self.errors)

    def add(self, exits: Exits) -> None:
        self.exits += exits.results
        self.errors += exits.errors
        self.notes += exits.notes


Step = Callable[[Bot, TickState], None]
"""Adds its results to the state. It raises an error, or adds it to the state's errors and goes on."""


def tick(bot: Bot) -> tuple[TickView, int]:
    """Run one tick; returns its result and exit code. A failed step does not stop the later ones.

    Raises Refused at the end of the demo's recorded prices.
    """
    if not bot.clock.start_tick():
        raise Refused("the demo's recorded prices are at their end", hint="delete the demo database to start again")
    started = time.monotonic()
    bot.time_budget.start()
    state = TickState(bot.clock.now())
    _run(bot, state, "settings", _report_problems)
    _run(bot, state, "missed runs", _count_missed_runs)
    _run(bot, state, "recover", _recover)
    _guard_and_trade(bot, state)
    _run(bot, state, "figures", _complete_figures)
    _run(bot, state, "prune", _prune)
    _run(bot, state, "record", partial(_record, started=started))
    return _view(bot, state), state.exit_code


def _guard_and_trade(bot: Bot, state: TickState) -> None:
    if bot.switch.read().frozen:
        _run(bot, state, "frozen", _warn_of_unguarded)
        return
    _run(bot, state, "look", _take_snapshot)
    if state.snapshot is None:
        return
    _run(bot, state, "drawdown", _check_drawdown)
    if state.tripped:
        return
    _run(bot, state, "positions", _check_positions)
    if bot.switch.read().paused or bot.problems:
        return
    _run(bot, state, "live trading", _warn_of_no_buys)
    _run(bot, state, "council", _ask_council)
    if bot.switch.read().paused:
        state.notes.append("paused while the Council decided: nothing was executed")
        return
    _run(bot, state, "execute", _execute)


def _run(bot: Bot, state: TickState, name: str, step: Step) -> None:
    """Run one step and add its outcome, unless it has neither a detail nor an error."""
    before, state.detail = len(state.errors), ""
    try:
        step(bot, state)
    except BotError as error:
        state.errors.append(error)
    except Exception as error:
        log.debug("%s", name, exc_info=True)
        state.errors.append(explain_failure(error) or bug(error, hint="please report it"))
    errors = state.errors[before:]
    for failure in errors:
        log.error("%s: %s", name, failure)
    if state.detail or errors:
        state.steps.append(StepView(name, not errors, state.detail or "; ".join(map(str, errors))))


def _report_problems(bot: Bot, state: TickState) -> None:
    state.errors += bot.problems
    if bot.problems:
        state.notes.append("the settings are wrong: open positions are guarded, and nothing is bought")


def _count_missed_runs(bot: Bot, state: TickState) -> None:
    last = ticks.load_last_tick_at()
    missed = 0 if last is None else ticks.missed_between(last, state.at, bot.settings.timeframe.seconds)
    if last is not None and missed:
        ticks.add_missed_ticks(missed)
        state.notes.append(f"{missed} runs were missed since {last:%Y-%m-%d %H:%M} UTC")


def _recover(bot: Bot, state: TickState) -> None:
    before = len(bot.journal.unsettled())
    state.errors += bot.settlement.settle_unfinished_orders()
    state.detail = f"{before - len(bot.journal.unsettled())} of {before} unfinished orders settled"


def _complete_figures(bot: Bot, state: TickState) -> None:
    corrected, waiting = complete_figures(bot.settlement)
    if corrected or waiting:
        state.detail = f"{corrected} of {corrected + waiting} estimated orders corrected"


def _warn_of_unguarded(bot: Bot, state: TickState) -> None:
    state.notes.append(f"frozen: {len(bot.journal.open_symbols())} positions are unguarded, and nothing is traded")


def _take_snapshot(bot: Bot, state: TickState) -> None:
    """Prices of the open trades and of the symbols the Council may trade, and all balances."""
    held = bot.journal.open_symbols()
    symbols = held if bot.switch.read().paused or bot.problems else [*held, *bot.settings.symbols]
    snapshot = state.snapshot = bot.snapshots.take_snapshot(symbols)
    state.errors += snapshot.problems
    state.detail = f"{len(snapshot.quotes.good)} prices" + ("" if snapshot.balances is None else ", balances")


def _check_drawdown(bot: Bot, state: TickState) -> None:
    snapshot = state.fetched_snapshot
    report = bot.drawdown.check_drawdown(snapshot, act=not bot.validate_only)
    state.equity, state.drawdown, state.tripped = report.equity, report.drawdown, report.tripped
    state.add(report.exits)
    state.errors += [error for error in report.errors if error not in snapshot.problems]
    if report.tripped:
        state.notes.append("the drawdown guard is tripped: no entries until `botctl resume --enable-buys`")
        state.detail = "tripped"
    elif report.drawdown is None:
        state.detail = "unknown: no liquidation, no buys"  # the snapshot step has reported why
    else:
        state.detail = f"equity {report.equity:.2f}, {100 * report.drawdown:z.2f} % down"


def _check_positions(bot: Bot, state: TickState) -> None:
    checked = len(bot.journal.open_symbols())
    exits = bot.positions.check_open_positions(state.fetched_snapshot)
    state.add(exits)
    state.detail = f"{checked} checked, {len(exits.results)} sold"


def _warn_of_no_buys(bot: Bot, state: TickState) -> None:
    if bot.no_buys is not None:
        raise bot.no_buys


def _ask_council(bot: Bot, state: TickState) -> None:
    state.decisions, errors = bot.council.decide_all(state.fetched_snapshot)
    state.errors += errors
    state.detail = ", ".join(f"{row.symbol} {row.decision}" for row in state.decisions)


def _execute(bot: Bot, state: TickState) -> None:
    unknown = "the drawdown is unknown" if state.drawdown is None else ""
    unknown = "the balance lacks coins of open trades" if state.fetched_snapshot.missing else unknown
    why_not = "LIVE_TRADING is no" if bot.no_buys is not None else unknown
    executed = bot.council.execute(state.decisions, why_not=why_not)
    state.exits += executed.exits
    state.entries += executed.entries
    state.errors += executed.errors
    state.detail = f"{len(executed.exits)} exits, {len(executed.entries)} entries"


def _prune(bot: Bot, state: TickState) -> None:
    deleted = prune(state.at, bot.settings.keep_days)
    state.detail = ", ".join(f"{count} old rows of {table}" for table, count in deleted.items())


def _record(bot: Bot, state: TickState, *, started: float) -> None:
    ticks.record_tick(
        state.at, seconds=time.monotonic() - started, ok=not state.errors, exit_code=state.exit_code,
        steps=[asdict(step) for step in state.steps], equity=state.equity, drawdown=state.drawdown,
    )  # fmt: skip


def _view(bot: Bot, state: TickState) -> TickView:
    return TickView(
        at=state.at, mode=bot.settings.botctl_mode, ok=not state.errors, steps=state.steps, exits=state.exits,
        entries=state.entries, decisions=[view_decision(row) for row in state.decisions], equity=state.equity,
        drawdown=state.drawdown, errors=[str(error) for error in state.errors], notes=state.notes,
    )  # fmt: skip
