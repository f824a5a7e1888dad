"""`botctl` alone: what it is, where it is, how it stands, and what to do next."""

import os
import sys
import textwrap
from dataclasses import dataclass, field

import typer

from botctl.cli.context import env_file_of
from botctl.cli.tables import width
from botctl.config import Config, find_home, load_config, open_store, why_no_buys
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BotError, as_bot_error
from botctl.domain.kill_switch import SwitchState
from botctl.domain.text import below_or_above, format_money, format_time, printable, sanitize

WHAT = "botctl trades spot positions on Kraken and guards them with a stop."
MOST = 80
"""Columns at most."""
NEWCOMER = (
    ("botctl demo", "watch 500 ticks of a simulated market"),
    ("botctl tick", "begin a demo in this folder, one tick at a time"),
    ("botctl init --mode paper", "trade real prices with play money"),
    ("botctl help", "list all commands"),
)
"""For a folder that nothing names as the home of a bot."""
WITHOUT_DATABASE = (
    ("botctl init", "create the database"),
    ("botctl doctor", "check the settings, the key and the network"),
    ("botctl schedule install", "run a tick every TIMEFRAME from now on"),
    ("botctl help", "list all commands"),
)
"""For a home with settings and no database yet."""
OWNER = (
    ("botctl status", "the whole state"),
    ("botctl positions", "open positions with their stops"),
    ("botctl help", "all commands"),
)
BROKEN = (
    ("botctl config check", "every problem with the settings"),
    ("botctl doctor", "check everything, and suggest fixes"),
    ("botctl help", "list all commands"),
)
"""For settings or a database that can't be read."""
MAX_SENTENCE = 300
"""Of one problem, in characters."""
MAX_PROBLEMS = 6


@dataclass
class _Screen:
    rows: list[tuple[str, str]] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    steps: tuple[tuple[str, str], ...] = OWNER
    is_new: bool = False
    mode: str = ""


def show_first_screen(ctx: typer.Context) -> None:
    """Print it. What is broken is one line of it: it never fails."""
    screen = _Screen()
    try:
        _fill(screen, ctx)
    except Exception as error:  # noqa: BLE001 - whatever is broken here, the way out of it is shown
        screen.attention.append(_sentence(_explain(error)))
        screen.steps, screen.is_new = BROKEN, False
    print("\n\n".join(filter(None, [_wrapped("", WHAT), _rows(screen), _attention(screen), _steps(screen)])))


def _fill(screen: _Screen, ctx: typer.Context) -> None:
    screen.rows.append(("home", str(find_home(os.environ.get("BOTCTL_HOME", "")))))
    config = load_config(env_file_of(ctx), strict=False)
    screen.mode = config.settings.botctl_mode
    screen.rows[:] = [("mode", screen.mode), ("home", str(config.folder))]
    if config.database.lacks_file():
        screen.is_new = True
        screen.steps = WITHOUT_DATABASE if config.named else NEWCOMER
        screen.rows.append(("database", "none yet"))
    else:
        with open_store(config, create=False):
            _fill_from_database(screen, config)
    screen.attention += [_sentence(problem) for problem in _problems(config)]
    if config.settings.live_trading_disabled:
        screen.attention.append("LIVE_TRADING is not yes: botctl guards and sells, and buys nothing")


def _problems(config: Config) -> list[BotError]:
    """Those of the settings, and the keys that live mode lacks."""
    try:
        config.require_account()
    except BotError as error:
        return [error, *(problem for problem in config.problems if problem.message not in error.message)]
    return list(config.problems)


def _fill_from_database(screen: _Screen, config: Config) -> None:
    from botctl.queries import portfolio
    from botctl.queries.attention import find_attention
    from botctl.scheduling.runner import find_ticking

    settings = config.settings
    now, seconds = portfolio.now_offline(settings.botctl_mode), settings.timeframe.seconds
    view = portfolio.status(settings.botctl_mode, config.switch, settings.initial_balance, now, seconds)
    held = "1 open position" if view.open_trades == 1 else f"{view.open_trades or 'no'} open positions"
    below = "" if view.drawdown is None else f", {below_or_above(view.drawdown, 'the start')}"
    valued = f", equity {format_money(view.equity, settings.quote_currency)}{below}"
    ended = "ok" if view.last_tick_ok else "failed"
    screen.rows += [
        ("account", held + (valued if view.equity is not None else ", not valued yet")),
        ("switch", _switch(config.switch.read(), why_no_buys(config))),
        ("last tick", "never" if view.last_tick_at is None else f"{format_time(view.last_tick_at)} UTC, {ended}"),
    ]
    screen.attention += find_attention(config.switch, exchange_stop=settings.exchange_stop)
    overdue = find_ticking(config.folder, view.last_tick_at, now, seconds).overdue
    screen.attention += [overdue] if overdue else []


def _switch(state: SwitchState, no_buys: str) -> str:
    because = f" ({state.why})" if state.why else ""
    if state.frozen:
        return f"frozen{because}: nothing is bought, and no stop is checked"
    if state.paused:
        return f"paused{because}: nothing is bought; each tick checks the stops"
    if state.is_trading_active and not no_buys:
        return "on: each tick may buy and sell"
    return f"on, without buys{f' ({no_buys})' if no_buys else ''}: each tick checks the stops"


def _rows(screen: _Screen) -> str:
    widest = max((len(name) for name, _ in screen.rows), default=0) + 2
    text = "\n".join(_wrapped(f"{name:{widest}}", value) for name, value in screen.rows)
    return text.replace(Mode.LIVE, _red(Mode.LIVE), 1) if screen.mode == Mode.LIVE else text


def _attention(screen: _Screen) -> str:
    if not screen.attention:
        return "" if screen.is_new else "Nothing needs your attention."
    shown = screen.attention[:MAX_PROBLEMS]
    if more := len(screen.attention) - len(shown):
        shown.append(f"and {more} more: `botctl doctor` lists all")
    return "\n".join([_red("Needs your attention:"), *(_wrapped("  - ", sentence) for sentence in shown)])


def _wrapped(start: str, text: str) -> str:
    """A text behind its start, within 80 columns or those of the terminal; a path is never broken."""
    wrapper = textwrap.TextWrapper(
        min(width(), MOST), start, " " * len(start), break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(printable(text))


def _steps(screen: _Screen) -> str:
    widest = max(len(command) for command, _ in screen.steps)
    return "\n".join(["Next:", *(_wrapped(f"  {command:{widest}}  ", what) for command, what in screen.steps)])


def _explain(error: Exception) -> BotError:
    from botctl.store.database import DATABASE_ERRORS, explain

    return explain(error) if isinstance(error, DATABASE_ERRORS) else as_bot_error(error)


def _sentence(error: BotError) -> str:
    return sanitize(str(error), MAX_SENTENCE)


def _red(text: str) -> str:
    """Bold and red on a terminal. rich, which does the colours elsewhere, takes too long to load here."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return typer.style(text, fg="red", bold=True)
