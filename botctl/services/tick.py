"""One visit from cron, read top to bottom: settle the past, guard the present, and only then look for more."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from botctl.domain.errors import BotError, Busy, ConfigError, ExchangeUnreachable, Refused
from botctl.domain.settings import no_yes
from botctl.services.bot import Bot
from botctl.services.exits import Exits
from botctl.services.lookout import Look
from botctl.store import ticks
from botctl.store.backups import back_up_daily
from botctl.store.database import opened_where
from botctl.store.decisions import Decision
from botctl.trading.results import DecisionView, OrderResult, StepView, TickView, view_decision

log = logging.getLogger(__name__)


@dataclass
class Visit:
    """What has happened so far on this visit."""

    at: datetime
    steps: list[StepView] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    exits: list[OrderResult] = field(default_factory=list)
    entries: list[OrderResult] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    equity: Decimal | None = None
    drawdown: Decimal | None = None
    tripped: bool = False

    def take(self, exits: Exits) -> list[BotError]:
        """Add a round of exits; its errors are the step's."""
        self.exits += exits.results
        self.notes += exits.notes
        return exits.errors


def tick(bot: Bot) -> tuple[TickView, int]:
    """One visit and its exit code. A failed step never keeps the later ones from running.

    Raises Refused at the end of the demo's tape.
    """
    if not bot.clock.start_visit():
        raise Refused("the demo's tape is at its end", hint="delete the demo database to play it again")
    started = time.monotonic()
    bot.limit.start()
    visit = Visit(bot.clock.now())
    _run(visit, "missed runs", lambda: _count_missed_runs(bot, visit))
    _run(visit, "recover", lambda: _recover(bot))
    _guard_and_trade(bot, visit)
    _run(visit, "backup", lambda: _back_up(bot))
    _run(visit, "record", lambda: _record(visit, time.monotonic() - started))
    return _view(bot, visit), _exit_code(visit)


def _guard_and_trade(bot: Bot, visit: Visit) -> None:
    state = bot.switch.read()
    if state.frozen:
        _run(visit, "frozen", lambda: _say_unguarded(bot, visit))
        return
    looks: list[Look] = []
    _run(visit, "look", lambda: _look(bot, looks))
    if not looks:
        return
    look = looks[0]
    _run(visit, "drawdown", lambda: _guard(bot, visit, look))
    if visit.tripped:
        return
    _run(visit, "positions", lambda: _check_positions(bot, visit, look))
    if bot.switch.read().paused:
        return
    _run(visit, "live trading", lambda: _say_no_buys(bot))
    _run(visit, "council", lambda: _hear_council(bot, visit, look))
    if bot.switch.read().paused:  # somebody pulled the switch while the Council sat
        visit.notes.append("paused while the Council sat: nothing was executed")
        return
    _run(visit, "execute", lambda: _execute(bot, visit))


def _run(visit: Visit, name: str, step: Callable[[], tuple[str, list[BotError]]]) -> None:
    """Run one step, and note how it went; one that had nothing to say and no error leaves no trace."""
    try:
        detail, errors = step()
    except BotError as error:
        detail, errors = "", [error]
    except Exception as error:
        log.debug("%s", name, exc_info=True)
        detail, errors = "", [BotError(f"bug: {type(error).__name__}: {error}", hint="please report it")]
    for failure in errors:
        log.error("%s: %s", name, failure)
    visit.errors += errors
    if detail or errors:
        visit.steps.append(StepView(name, not errors, detail or "; ".join(map(str, errors))))


def _count_missed_runs(bot: Bot, visit: Visit) -> tuple[str, list[BotError]]:
    last = ticks.load_last_tick_at()
    missed = 0 if last is None else ticks.missed_between(last, visit.at, bot.settings.timeframe_seconds)
    if last is not None and missed:
        ticks.add_missed_ticks(missed)
        visit.notes.append(f"{missed} runs were missed since {last:%Y-%m-%d %H:%M} UTC")
    return "", []


def _recover(bot: Bot) -> tuple[str, list[BotError]]:
    before = len(bot.journal.unsettled())
    errors = bot.recovery.settle_unfinished_orders()
    return f"{before - len(bot.journal.unsettled())} of {before} unfinished orders settled", errors


def _say_unguarded(bot: Bot, visit: Visit) -> tuple[str, list[BotError]]:
    visit.notes.append(f"frozen: {len(bot.journal.open_symbols())} positions are unguarded, and nothing is traded")
    return "", []


def _look(bot: Bot, looks: list[Look]) -> tuple[str, list[BotError]]:
    """Prices for what is open and for what the Council may trade, and all balances."""
    held = bot.journal.open_symbols()
    symbols = held if bot.switch.read().paused else [*held, *bot.settings.symbols]
    look = bot.lookout.look(symbols)
    looks.append(look)
    return f"{len(look.quotes.good)} prices" + ("" if look.balances is None else ", balances"), list(look.problems)


def _guard(bot: Bot, visit: Visit, look: Look) -> tuple[str, list[BotError]]:
    report = bot.drawdown.check_drawdown(look, act=not bot.validate_only)
    visit.equity, visit.drawdown, visit.tripped = report.equity, report.drawdown, report.tripped
    errors = visit.take(report.exits)
    errors += [error for error in report.errors if error not in look.problems]
    if report.tripped:
        visit.notes.append("the drawdown guard is tripped: no entries until `botctl resume --enable-buys`")
        return "tripped", errors
    if report.drawdown is None:
        return "unknown: no liquidation, no buys", errors  # the look has said why
    return f"equity {report.equity:.2f}, {100 * report.drawdown:z.2f} % down", errors


def _check_positions(bot: Bot, visit: Visit, look: Look) -> tuple[str, list[BotError]]:
    checked = len(bot.journal.open_symbols())
    exits = bot.positions.check_open_positions(look)
    return f"{checked} checked, {len(exits.results)} sold", visit.take(exits)


def _say_no_buys(bot: Bot) -> tuple[str, list[BotError]]:
    """Said at each tick, and not only when the Council would buy: nobody should find out by chance."""
    return "", [no_yes()] if bot.settings.lacks_yes and not bot.validate_only else []


def _hear_council(bot: Bot, visit: Visit, look: Look) -> tuple[str, list[BotError]]:
    visit.decisions, errors = bot.council.sit(look)
    return ", ".join(f"{row.symbol} {row.decision}" for row in visit.decisions), errors


def _execute(bot: Bot, visit: Visit) -> tuple[str, list[BotError]]:
    why_not = "the drawdown is unknown" if visit.drawdown is None else ""
    if bot.settings.lacks_yes and not bot.validate_only:
        why_not = "LIVE_TRADING is no"
    exits, entries, errors = bot.council.execute(visit.decisions, why_not=why_not)
    visit.exits += exits
    visit.entries += entries
    return f"{len(exits)} exits, {len(entries)} entries", errors


def _exit_code(visit: Visit) -> int:
    """3 for a tripped guard, 69 when something was unreachable or unknown, 78 for settings or a damaged database, 75
    for a locked one, 1 for anything else."""
    if visit.tripped:
        return Refused.exit_code
    codes = {error.exit_code for error in visit.errors}
    for code in (ExchangeUnreachable.exit_code, ConfigError.exit_code, Busy.exit_code):
        if code in codes:
            return code
    return BotError.exit_code if codes else 0


def _back_up(bot: Bot) -> tuple[str, list[BotError]]:
    """The day's first tick by this machine's clock, whatever day it is on the demo's tape."""
    copy = None if bot.backed_up is None else back_up_daily(opened_where(), bot.backed_up, datetime.now(UTC))
    return "" if copy is None else f"copied to {copy}", []


def _record(visit: Visit, seconds: float) -> tuple[str, list[BotError]]:
    ticks.record_tick(
        visit.at,
        seconds=seconds,
        ok=not visit.errors,
        exit_code=_exit_code(visit),
        steps=[{"name": step.name, "ok": step.ok, "detail": step.detail} for step in visit.steps],
        equity=visit.equity,
        drawdown=visit.drawdown,
    )
    return "", []


def _view(bot: Bot, visit: Visit) -> TickView:
    decisions: list[DecisionView] = [view_decision(row) for row in visit.decisions]
    return TickView(
        at=visit.at,
        mode=bot.settings.botctl_mode,
        ok=not visit.errors,
        steps=visit.steps,
        exits=visit.exits,
        entries=visit.entries,
        decisions=decisions,
        equity=visit.equity,
        drawdown=visit.drawdown,
        errors=[str(error) for error in visit.errors],
        notes=visit.notes,
    )
