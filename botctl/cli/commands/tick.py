"""tick, which cron runs, and its first steps alone: check-positions and drawdown."""

import sys
import time
from functools import partial
from typing import Annotated

import typer

from botctl.cli import after_run
from botctl.cli.context import JsonFlag, ValidateFlag, config_from, exit_with, wants_json
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show
from botctl.cli.stuck_runs import open_bot_of_tick, watch_start, watch_tick
from botctl.cli.views.tick import draw_drawdown, draw_position_check, draw_tick
from botctl.config import Config, remember_settings
from botctl.domain.errors import Refused, exit_code_of
from botctl.domain.kill_switch import describe_frozen
from botctl.domain.symbols import base_of
from botctl.monitoring.heartbeat import Heartbeat
from botctl.queries import portfolio
from botctl.queries.results import CheckView
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.trading.drawdown_guard import unknown_initial_balance
from botctl.trading.evidence.missing_coins import missing_error
from botctl.trading.outages import tell_outage
from botctl.trading.results import DrawdownView
from botctl.trading.tick import guard_drawdown, guard_positions
from botctl.trading.tick import tick as run_tick
from botctl.wiring import open_bot


def tick(ctx: typer.Context, validate: ValidateFlag = False, as_json: JsonFlag = False) -> None:
    """Run one tick: check stops, settle orders, then trade.

    This is what cron runs, once per TIMEFRAME (`botctl schedule install`). In live mode it sells and buys with real
    money, without asking. Exits come before entries, and while paused nothing is bought. Without a terminal it prints
    a table only if it traded.

    Exit code 3 while the drawdown guard is tripped, 69 when something was unreachable or unknown (the next tick
    checks again), 75 when another run is active. A run that holds the lock for a minute longer than TICK_TIMEOUT is
    stuck: it is ended, and the tick goes on and ends with 1.

    \b
    Examples:
      botctl tick
      BOTCTL_MODE=paper botctl tick --json
    """
    with watch_start():
        config = config_from(ctx, validate=validate, account=True, warn=False)  # the tick reports the problems
        heartbeat = Heartbeat(None if validate else config.settings.healthcheck_url)
    with watch_tick(config, heartbeat):
        code = _tick(ctx, config, heartbeat, validate=validate)
    exit_with(code)


def _tick(ctx: typer.Context, config: Config, heartbeat: Heartbeat, *, validate: bool) -> int:
    with heartbeat.watch():
        with open_bot_of_tick(config, heartbeat, validate_only=validate) as (bot, ended):
            heartbeat.start()
            started = time.monotonic()
            if not validate:
                remember_settings(config)
            view, code = run_tick(bot, ended)
            copy_is_due, failure = (False, None) if validate else after_run.claim_backup()
            after_run.queue_notifications(config, bot, check_key=view.ok)
            metrics = after_run.read_metrics(config, bot, code, time.monotonic() - started)
            draw = partial(draw_tick, decimals=load_price_decimals(), currency=config.settings.quote_currency)
        notice(*view.notes)
        if wants_json(ctx) or sys.stdout.isatty() or view.exits or view.entries:
            show(ctx, view, draw, name_mode=False)
        if copy_is_due:
            failure = after_run.back_up(config)
        if failure is not None:
            code = code or failure.exit_code
    after_run.write_metrics(config, metrics)
    heartbeat.end(ok=code == 0, detail="\n".join([f"exit code {code}", *view.errors]))
    if not validate:
        after_run.publish(config, hourly=True)
    return code


def check_positions(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check open positions against their stops.

    Sells those at or below their stop, in live mode with real money and without asking, and moves the stops of the
    others. Buys nothing. Run it between two ticks to react faster. Exit code 3 while frozen.

    \b
    Example:
      botctl check-positions
    """
    config = config_from(ctx, account=True)
    with open_bot(config) as bot:
        if bot.switch.read().frozen:
            guarded = describe_frozen(len(bot.journal.open_symbols()), bot.resting.count())
            raise Refused(f"botctl is frozen: {guarded}", hint="`botctl resume` has their stops checked again")
        began = bot.clock.now()
        snapshot, exits, stops = guard_positions(bot)
        errors, prices = tell_outage(bot, exits.errors, began), snapshot.prices
        rates = bot.fees.rates()
        trades = portfolio.list_positions(config.settings.resting_distance)
        positions = [portfolio.with_price(each, prices.get(each.symbol), rates) for each in trades]
        draw = partial(draw_position_check, decimals=load_price_decimals())
        after_run.queue_notifications(config, bot)
    log_errors(errors)
    notice(*exits.notes)
    view = CheckView(positions, exits.results, [str(error) for error in errors], stops)
    show(ctx, view, draw)
    after_run.publish(config)
    exit_with(exit_code_of(errors))


def drawdown(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only report; sell nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check the drawdown, and sell everything if it is too large.

    When two checks in a row find the account more than MAX_DRAWDOWN below INITIAL_BALANCE (which follows deposits and
    withdrawals), or more than MAX_DRAWDOWN_PEAK below its highest performance, every open trade is sold, in live mode
    with real money and without asking, and buys are disabled until `botctl resume --enable-buys`. Exit code 3 while the
    guard is tripped.

    \b
    Examples:
      botctl drawdown --check
      botctl drawdown
    """
    config = config_from(ctx, account=True, looks=check)
    with open_bot(config) as bot:
        if bot.drawdown.initial_balance is None:
            raise unknown_initial_balance()
        began = bot.clock.now()
        act = not check and not bot.switch.read().frozen
        report, errors = guard_drawdown(bot, act=act)
        outranked = bot.execution.outranked.report()
        errors += [*report.errors, *report.exits.errors]
        if not report.tripped:  # else the exits have reported them
            unlisted = {base_of(symbol) for symbol in report.snapshot.unlisted}
            errors += [missing_error(each) for each in report.missing if each.asset not in unlisted]
            errors += bot.positions.find_gone_markets(report.snapshot)
        errors = tell_outage(bot, errors, began)
        view = DrawdownView(
            report.equity,
            bot.drawdown.initial_balance,
            report.drawdown,
            bot.drawdown.max_drawdown,
            report.tripped,
            None if report.performance is None else report.performance.base,
            report.drawdown_peak,
            bot.drawdown.max_drawdown_peak,
            report.exits.results,
            [str(error) for error in errors],
        )
        draw = partial(draw_drawdown, decimals=load_price_decimals(), currency=config.settings.quote_currency)
        after_run.queue_notifications(config, bot)
    log_errors(errors)
    notice(*report.exits.notes, *outranked)
    if report.tripped:
        done = "buys are disabled, open trades are sold" if act else "only reported"
        notice(f"the drawdown limit is exceeded: {done}")
    show(ctx, view, draw)
    after_run.publish(config)
    exit_with(Refused.exit_code if report.tripped else exit_code_of(errors))
