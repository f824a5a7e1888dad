"""What cron runs: tick, and its first steps alone."""

import sys
import time
from typing import Annotated

import typer

from botctl.cli import after_run
from botctl.cli.context import (
    JsonFlag,
    ValidateFlag,
    check_validate,
    config_from,
    exit_with,
    log_errors,
    notice,
    wants_json,
)
from botctl.cli.output import show
from botctl.cli.views.tick import draw_drawdown, draw_position_check, draw_tick
from botctl.domain.errors import Refused, exit_code_of
from botctl.queries.results import CheckView
from botctl.trading.results import DrawdownView
from botctl.wiring import open_bot


def tick(ctx: typer.Context, validate: ValidateFlag = False, as_json: JsonFlag = False) -> None:
    """One visit: settle, guard, then let the Council trade.

    This is what cron runs, once per TIMEFRAME (`botctl schedule install`). In live mode it sells and buys with real
    money, without asking. Unfinished orders are settled first, exits come before entries, and while paused nothing is
    bought. Off a terminal it prints only news.

    Exit code 3 while the drawdown guard is tripped, 69 when something was unreachable or unknown (the next tick looks
    again), 75 when another run is at work.

    \b
    Examples:
      botctl tick
      BOTCTL_MODE=paper botctl tick --json
    """
    from botctl.monitoring.heartbeat import Heartbeat
    from botctl.trading.tick import tick as visit

    config = config_from(ctx)
    check_validate(config, validate)
    heartbeat = Heartbeat(None if validate else config.settings.healthcheck_url)
    with heartbeat.watch():
        with open_bot(config, wait_seconds=0, validate_only=validate) as bot:
            heartbeat.start()
            started = time.monotonic()
            view, code = visit(bot)
            after_run.queue_notifications(config, bot, ask_for_key=view.ok)
            figures = after_run.read_metrics(config, bot, code, time.monotonic() - started)
        for note in view.notes:
            notice(note)
        if wants_json(ctx) or sys.stdout.isatty() or view.exits or view.entries:
            show(ctx, view, draw_tick, name_mode=False)
    after_run.publish_metrics(config, figures)
    heartbeat.end(ok=code == 0, detail="\n".join([f"exit code {code}", *view.errors]))
    if not validate:
        after_run.deliver_notifications(config)
    exit_with(code)


def check_positions(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check every open position against its stop, now.

    Sells those at or below it, in live mode with real money and without asking, and moves the stops of the others.
    Buys nothing. Run between two ticks it makes the stop quicker. Exit code 3 while frozen.

    \b
    Example:
      botctl check-positions
    """
    from botctl.queries import portfolio

    config = config_from(ctx)
    with open_bot(config) as bot:
        if bot.switch.read().frozen:
            raise Refused("botctl is frozen: positions are unguarded", hint="`botctl resume` guards them again")
        errors = bot.settlement.settle_unfinished_orders()
        snapshot = bot.snapshots.take_snapshot(bot.journal.open_symbols())
        exits = bot.positions.check_open_positions(snapshot)
        errors += [*snapshot.problems, *exits.errors]
        positions = [
            portfolio.with_price(trade, snapshot.prices.get(trade.symbol)) for trade in portfolio.list_positions()
        ]
        after_run.queue_notifications(config, bot)
    log_errors(errors)
    for note in exits.notes:
        notice(note)
    view = CheckView(positions, exits.results, [str(error) for error in errors])
    show(ctx, view, draw_position_check)
    after_run.deliver_notifications(config)
    exit_with(exit_code_of(errors))


def drawdown(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only report; sell nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Value the account; too far down, sell everything.

    More than MAX_DRAWDOWN below INITIAL_BALANCE, by two looks that agree: every open trade is sold, in live mode with
    real money and without asking, and buys are disabled until `botctl resume --enable-buys`. Exit code 3 when the
    guard has tripped. --check only tells.

    \b
    Examples:
      botctl drawdown --check
      botctl drawdown
    """
    config = config_from(ctx)
    with open_bot(config) as bot:
        errors = bot.settlement.settle_unfinished_orders()
        frozen = bot.switch.read().frozen
        report = bot.drawdown.check_drawdown(act=not check and not frozen)
        errors += [*report.errors, *report.exits.errors]
        guard = bot.drawdown
        view = DrawdownView(
            report.equity,
            guard.initial_balance,
            report.drawdown,
            guard.max_drawdown,
            report.tripped,
            report.exits.results,
            [str(error) for error in errors],
        )
        after_run.queue_notifications(config, bot)
    log_errors(errors)
    for note in report.exits.notes:
        notice(note)
    if report.tripped:
        done = "only reported" if check or frozen else "buys are disabled, open trades are sold"
        notice(f"the drawdown guard says stop: {done}")
    show(ctx, view, draw_drawdown)
    after_run.deliver_notifications(config)
    exit_with(Refused.exit_code if report.tripped else exit_code_of(errors))


def register(app: typer.Typer) -> None:
    app.command("tick")(tick)
    app.command("check-positions")(check_positions)
    app.command("drawdown")(drawdown)
