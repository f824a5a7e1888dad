"""One tick, from top to bottom: guard the open positions, settle orders, and only then seek entries.

Lost orders are looked up after the stops of all other trades were checked: nothing that can wait makes an exit wait.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial

from botctl.domain.errors import BotError, ConfigError, NoAnswer, Refused, as_bot_error, exit_code_of
from botctl.domain.kill_switch import describe_frozen
from botctl.domain.money import cents
from botctl.domain.orders import ExitReason
from botctl.domain.text import counted
from botctl.store import ticks
from botctl.store.evidence.gone_markets import gone_assets
from botctl.store.rows import DecisionRow
from botctl.store.upkeep.pruning import prune
from botctl.trading.bot import Bot
from botctl.trading.drawdown_guard import GuardReport
from botctl.trading.evidence.exact_figures import book_late_fills, complete_figures
from botctl.trading.exits import Exits
from botctl.trading.outages import tell_outage
from botctl.trading.results import OrderResult, StepView, StopView, TickView, view_decision
from botctl.trading.snapshot import Snapshot, keep_prices

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
    drawdown_peak: Decimal | None = None
    guard: GuardReport | None = None
    tripped: bool = False
    key_refused: bool = False
    stops: list[StopView] = field(default_factory=list)
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


def tick(bot: Bot, ended: Sequence[BotError] = ()) -> tuple[TickView, int]:
    """Run one tick; returns its result and exit code. A failed step does not stop the later ones.

    `ended` are the errors of runs that hung, which were ended and logged before this one. Raises Refused at the end of
    the demo's recorded prices.
    """
    if not bot.clock.start_tick():
        raise Refused("the demo's recorded prices are at their end", hint="delete the demo database to start again")
    started = time.monotonic()
    bot.time_budget.start()
    bot.journal.begin_run()
    state = TickState(bot.clock.now(), errors=[*ended])
    state.steps += [StepView("lock", False, str(error)) for error in ended]
    _run(bot, state, "settings", _report_problems)
    _run(bot, state, "missed runs", _count_missed_runs)
    _run(bot, state, "journal", _compare_journal)
    _guard_and_trade(bot, state)
    _run(bot, state, "own orders", _name_outranked_orders)
    _run(bot, state, "figures", _complete_figures)
    _run(bot, state, "rows", _name_broken_rows)
    _run(bot, state, "prune", _prune)
    _tell_outage(bot, state)
    _run(bot, state, "record", partial(_record, started=started))
    return _view(bot, state), state.exit_code


def _guard_and_trade(bot: Bot, state: TickState) -> None:
    if bot.switch.read().frozen:
        _run(bot, state, "recover", _recover)
        _run(bot, state, "frozen", _warn_of_unguarded)
        return
    _run(bot, state, "look", _take_snapshot)
    if state.snapshot is not None:
        _run(bot, state, "drawdown", _check_drawdown)
        if not state.tripped:
            _run(bot, state, "positions", _check_positions)
        _run(bot, state, "equity", _confirm_equity)
    _run(bot, state, "recover", _recover)
    _run(bot, state, "resting stops", _prove_resting_stops)
    _run(bot, state, "late fills", _book_late_fills)
    if state.snapshot is None or state.tripped or bot.switch.read().paused or bot.problems:
        return
    if state.snapshot.unreachable:
        return  # nothing could be decided or bought, and each request would be repeated for some seconds
    _run(bot, state, "live trading", _warn_of_no_buys)
    _run(bot, state, "key", _check_key)
    _run(bot, state, "fees", _refresh_fees)
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
        state.errors.append(as_bot_error(error))
    errors = state.errors[before:]
    for failure in errors:
        if not isinstance(failure, NoAnswer):  # said once for all steps
            log.error("%s: %s", name, failure)
    if state.detail or errors:
        why = "; ".join(dict.fromkeys(map(str, errors)))
        outage = any(isinstance(failure, NoAnswer) for failure in errors)
        state.steps.append(StepView(name, not errors, why if outage else state.detail or why))


def _tell_outage(bot: Bot, state: TickState) -> None:
    """One line instead of one for each request that got no answer."""
    state.errors = tell_outage(bot, state.errors, state.at, ticks=True)
    for error in state.errors:
        if isinstance(error, NoAnswer):
            log.error("%s", error)


def _report_problems(bot: Bot, state: TickState) -> None:
    state.errors += bot.problems
    if bot.problems:
        state.notes.append("the settings are wrong: open positions are guarded, and nothing is bought")


def _name_broken_rows(bot: Bot, state: TickState) -> None:
    said = {str(error) for error in state.errors}
    state.errors += [error for error in bot.journal.broken_rows() if str(error) not in said]


def _count_missed_runs(bot: Bot, state: TickState) -> None:
    last = ticks.load_last_tick_at()
    missed = 0 if last is None else ticks.missed_between(last, state.at, bot.settings.timeframe.seconds)
    if last is not None and missed:
        ticks.add_missed_ticks(missed)
        state.notes.append(f"{counted(missed, 'run was', 'runs were')} missed since {last:%Y-%m-%d %H:%M} UTC")


def guard_positions(bot: Bot) -> tuple[Snapshot, Exits, list[StopView]]:
    """check-positions: the newest snapshot, what was sold, and the other stops. Look-ups wait as in a tick."""
    before = {level.trade_id: level.stop for level in bot.journal.stop_levels()}
    unrecorded = bot.unrecorded.check()
    snapshot = _look(bot, bot.journal.open_symbols())
    exits = bot.positions.check_open_positions(snapshot)
    settled, _, errors = _settle_earlier(bot, exits.errors)
    if settled:
        snapshot = bot.snapshots.take_snapshot(bot.journal.open_symbols())
        exits += bot.positions.check_settled_positions(snapshot)
    proof = bot.resting.prove(snapshot.prices)
    if proof.has_news and bot.positions.has_begun_exits():
        snapshot = bot.snapshots.take_snapshot(bot.journal.open_symbols())
        exits += bot.positions.check_settled_positions(snapshot)
    broken = _broken_rows(bot, exits.errors)
    notes = bot.execution.outranked.report() + proof.notes
    said = Exits(errors=[*unrecorded, *errors, *snapshot.problems, *broken, *proof.errors], notes=notes)
    keep_prices(snapshot, bot.journal)
    return snapshot, said + exits, bot.positions.view_stops(before, snapshot)


def guard_drawdown(bot: Bot, *, act: bool) -> tuple[GuardReport, list[BotError]]:
    """drawdown: the guard's report, and why earlier orders are not settled."""
    unrecorded = bot.unrecorded.check()
    report = bot.drawdown.check_drawdown(_look(bot, bot.journal.open_symbols()), act=act)
    found = bot.resting.take_found()
    report.exits += Exits(notes=found.notes)
    settled, _, errors = _settle_earlier(bot, [*report.errors, *report.exits.errors])
    if settled and report.tripped and act:
        report.exits += bot.drawdown.check_drawdown(act=True).exits
    report = bot.drawdown.value_again(bot.drawdown.confirm_equity(report))
    return report, [*unrecorded, *found.errors, *errors, *_broken_rows(bot, [*report.errors, *report.exits.errors])]


def liquidate(bot: Bot) -> Exits:
    """Disable buys and sell every open trade. Those that wait for an order are sold once that is settled."""
    unrecorded = bot.unrecorded.check()
    exits = bot.positions.disable_buys_and_liquidate()
    settled, _, errors = _settle_earlier(bot, exits.errors)
    if settled:
        exits += bot.positions.liquidate_all(ExitReason.LIQUIDATION)
    errors += _broken_rows(bot, exits.errors)
    return Exits(errors=[*unrecorded, *errors], notes=bot.execution.outranked.report()) + exits


def _look(bot: Bot, symbols: Sequence[str]) -> Snapshot:
    """Prices and balances. Where coins are missing whose resting stop has fired, that is booked, and looked again: what
    it has sold is neither a loss nor a contradiction."""
    snapshot = bot.snapshots.take_snapshot(symbols)
    if not snapshot.missing or not bot.resting.settle_fired(each.asset for each in snapshot.missing):
        return snapshot
    return bot.snapshots.take_snapshot(symbols)


def _broken_rows(bot: Bot, known: Sequence[BotError]) -> list[BotError]:
    """The errors of rows that were left out, unless they are known. A database that can't be read has said so."""
    said = {str(error) for error in known}
    try:
        return [error for error in bot.journal.broken_rows() if str(error) not in said]
    except BotError:
        return []


def _settle_earlier(bot: Bot, known: Sequence[BotError]) -> tuple[int, int, list[BotError]]:
    """Settle what runs before this one left unsettled: how many orders have ended, of how many, and the new errors."""
    before = len(bot.journal.unsettled(earlier=True))
    said = {str(error) for error in known}  # an exit has looked up its own trade's orders
    errors = bot.settlement.settle_unfinished_orders(earlier=True)
    settled = before - len(bot.journal.unsettled(earlier=True))
    return settled, before, [error for error in errors if str(error) not in said]


def _recover(bot: Bot, state: TickState) -> None:
    """Settle orders; then guard the trades that had to wait for that, by new prices and balances."""
    settled, before, errors = _settle_earlier(bot, state.errors)
    state.errors += errors
    if settled and state.snapshot is not None:
        _guard_settled(bot, state)
    state.detail = f"{settled} of {before} unfinished orders settled"


def _guard_settled(bot: Bot, state: TickState) -> None:
    _take_snapshot(bot, state)
    if state.tripped:
        state.add(bot.drawdown.check_drawdown(state.fetched_snapshot, act=not bot.validate_only).exits)
    else:
        state.add(bot.positions.check_settled_positions(state.fetched_snapshot))


def _prove_resting_stops(bot: Bot, state: TickState) -> None:
    if bot.validate_only:
        return
    proof = bot.resting.prove({} if state.snapshot is None else state.snapshot.prices)
    state.notes += proof.notes
    state.errors += proof.errors
    if proof.has_news and bot.positions.has_begun_exits():
        _guard_settled(bot, state)
    state.detail = "; ".join(proof.notes)


def _book_late_fills(bot: Bot, state: TickState) -> None:
    notes, errors = book_late_fills(bot.settlement)
    state.notes += notes
    state.errors += errors
    state.detail = "; ".join(notes)


def _name_outranked_orders(bot: Bot, state: TickState) -> None:
    state.notes += bot.execution.outranked.report()


def _compare_journal(bot: Bot, state: TickState) -> None:
    state.errors += bot.unrecorded.check()


def _complete_figures(bot: Bot, state: TickState) -> None:
    corrected, waiting = complete_figures(bot.settlement)
    if corrected or waiting:
        state.detail = f"{corrected} of {corrected + waiting} estimated orders corrected"


def _warn_of_unguarded(bot: Bot, state: TickState) -> None:
    trades, resting = len(bot.journal.open_symbols()), bot.resting.count()
    guarded = (
        describe_frozen(trades, resting) if resting else f"{counted(trades, 'position is', 'positions are')} unguarded"
    )
    state.notes.append(f"frozen: {guarded}, and nothing is traded")


def _take_snapshot(bot: Bot, state: TickState) -> None:
    """Prices of the open trades and of the symbols the Council may trade, and all balances."""
    held = bot.journal.open_symbols()
    symbols = held if bot.switch.read().paused or bot.problems else [*held, *bot.settings.symbols]
    snapshot = state.snapshot = _look(bot, symbols)
    said = {str(error) for error in state.errors}
    state.errors += [problem for problem in snapshot.problems if str(problem) not in said]
    state.detail = f"{len(snapshot.quotes.good)} prices" + ("" if snapshot.balances is None else ", balances")


def _check_drawdown(bot: Bot, state: TickState) -> None:
    snapshot = state.fetched_snapshot
    report = bot.drawdown.check_drawdown(snapshot, act=not bot.validate_only)
    state.guard, state.tripped = report, report.tripped
    _set_figures(state, report)
    state.add(report.exits)
    new = [error for error in report.errors if error not in snapshot.problems]
    state.errors += new
    if report.tripped:
        state.notes.append("the drawdown guard is tripped: no entries until `botctl resume --enable-buys`")
        state.detail = "tripped"
    elif report.drawdown is None:
        why = "; ".join(map(str, new)) or "unknown"  # then the snapshot step has reported why
        state.detail = f"{why}: no liquidation, no buys"
    else:
        state.detail = f"equity {cents(report.equity)}, {cents(100 * report.drawdown):z.2f} % down"


def _set_figures(state: TickState, report: GuardReport) -> None:
    state.equity, state.drawdown, state.drawdown_peak = report.equity, report.drawdown, report.drawdown_peak


def _confirm_equity(bot: Bot, state: TickState) -> None:
    """After the stops, which wait for no candle."""
    if state.guard is None:
        return
    before, report = state.guard, bot.drawdown.confirm_equity(state.guard)
    state.guard = report
    _set_figures(state, report)
    state.errors += [error for error in report.errors if error not in before.errors]
    state.notes += bot.unpriced.name_new(report.snapshot)


def _check_positions(bot: Bot, state: TickState) -> None:
    checked = len(bot.journal.open_symbols())
    before = {level.trade_id: level.stop for level in bot.journal.stop_levels()}
    exits = bot.positions.check_open_positions(state.fetched_snapshot)
    state.add(exits)
    state.stops = bot.positions.view_stops(before, state.fetched_snapshot)
    state.detail = f"{checked} checked, {len(exits.results)} sold"


def _warn_of_no_buys(bot: Bot, state: TickState) -> None:
    if bot.no_buys is not None:
        raise bot.no_buys


def _check_key(bot: Bot, state: TickState) -> None:
    if bot.no_buys is not None:
        return  # no key buys anything
    try:
        bot.key_check.ask()
    except ConfigError:
        state.key_refused = True
        raise


def _refresh_fees(bot: Bot, state: TickState) -> None:
    bot.fees.refresh()


def _ask_council(bot: Bot, state: TickState) -> None:
    state.decisions, errors = bot.council.decide_all(state.fetched_snapshot, why_no_buys=_why_no_buys(bot, state))
    state.errors += errors
    state.detail = ", ".join(f"{row.symbol} {row.decision}" for row in state.decisions)
    if not (state.decisions or errors):
        state.detail = "no signal candle has closed since the last decision"


def _why_no_buys(bot: Bot, state: TickState) -> str:
    """Why this tick buys nothing at all; empty when it may."""
    unknown = "the drawdown is unknown" if state.drawdown is None else ""
    missing = {each.asset for each in state.fetched_snapshot.missing} - gone_assets()
    unknown = "the balance lacks coins of open trades" if missing else unknown
    unknown = "the API key may withdraw" if state.key_refused else unknown
    unknown = "a row of the database can't be read" if bot.journal.broken_rows() else unknown
    return "LIVE_TRADING is no" if bot.no_buys is not None else unknown


def _execute(bot: Bot, state: TickState) -> None:
    executed = bot.council.execute(state.decisions, state.guard, why_not=_why_no_buys(bot, state))
    state.exits += executed.exits
    state.entries += executed.entries
    state.errors += executed.errors
    state.detail = f"{len(executed.exits)} exits, {len(executed.entries)} entries"


def _prune(bot: Bot, state: TickState) -> None:
    deleted = prune(state.at, bot.settings.keep_days)
    state.detail = ", ".join(f"{count} old rows of {table}" for table, count in deleted.items())


def _value_again(bot: Bot, state: TickState) -> None:
    """No page shows an equity from before the trades beside their P&L."""
    if state.guard is None:
        return
    try:
        _set_figures(state, bot.drawdown.value_again(state.guard))
    except BotError as error:
        log.warning("the equity is that of before the trades: %s", error)


def _record(bot: Bot, state: TickState, *, started: float) -> None:
    _value_again(bot, state)
    keep_prices(state.snapshot, bot.journal)
    ticks.record_tick(
        state.at, seconds=time.monotonic() - started, ok=not state.errors, exit_code=state.exit_code,
        steps=[asdict(step) for step in state.steps], equity=state.equity, drawdown=state.drawdown,
        drawdown_peak=state.drawdown_peak,
    )  # fmt: skip


def _view(bot: Bot, state: TickState) -> TickView:
    return TickView(
        at=state.at, mode=bot.settings.botctl_mode, ok=not state.errors, steps=state.steps, exits=state.exits,
        entries=state.entries, decisions=[view_decision(row) for row in state.decisions], equity=state.equity,
        drawdown=state.drawdown, drawdown_peak=state.drawdown_peak,
        errors=[str(error) for error in state.errors], stops=state.stops, notes=state.notes,
    )  # fmt: skip
