"""What every command shares: its flags, its arguments, its settings and its log."""

import logging
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from botctl.cli.log import NOTICE, start_log
from botctl.config import Config, load_config, open_store, raise_together
from botctl.domain.configuration.setting_problems import BadSetting
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BadValue, BotError, ConfigError, Refused
from botctl.domain.money import problem_with_separators, to_amount
from botctl.domain.symbols import parse_symbol, resolve_symbol

FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Of the dates that an option takes."""
MAX_ID = 2**31 - 1
"""The largest id that each kind of database can be asked for."""


def _remember_json(ctx: typer.Context, as_json: bool) -> bool:
    ctx.meta["json"] = as_json
    return as_json


JsonFlag = Annotated[
    bool, typer.Option("--json", callback=_remember_json, help="Print one JSON document, for scripts.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
ValidateFlag = Annotated[
    bool, typer.Option("--validate", help="Live mode only: Kraken checks the orders and places none.")
]
FullFlag = Annotated[bool, typer.Option("--full", help="Show everything: all columns, whole ids, times to the second.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="Show at most the newest COUNT.")
]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        "--env-file", metavar="PATH", show_default=".env in BOTCTL_HOME", help="The file to read settings from."
    ),
]


def since_option(default: str) -> Any:
    """--since DATE, which without it is `default`, said in words."""
    return typer.Option(
        "--since", metavar="DATE", show_default=default, help="The first day or moment, in UTC, such as 2026-11-01."
    )


def wants_json(ctx: typer.Context) -> bool:
    return bool(ctx.meta.get("json"))


def env_file_of(ctx: typer.Context) -> Path | None:
    """The value of --env-file. The root's parameters are still text here."""
    text = ctx.find_root().params.get("env_file")
    return None if text is None else Path(text)


def start_log_for(ctx: typer.Context, config: Config, *, quiet: bool = False) -> BadSetting | None:
    """Start the log with the options --debug and --log-json. Returns what is wrong with LOG_FILE, if anything."""
    options = ctx.find_root().params
    return start_log(config, debug=bool(options.get("debug")), as_json=bool(options.get("log_json")), quiet=quiet)


def with_log_problem(config: Config, problem: BadSetting | None) -> Config:
    return config if problem is None else replace(config, problems=(*config.problems, problem))


def in_a_named_home(ctx: typer.Context, config: Config, *, acts: bool, looks: bool) -> Config:
    """Say that it is the demo where nothing names another mode, as in a wrong folder.

    Raises ConfigError when a command that `acts` would act on a new demo; one that only `looks` sees an empty one.
    """
    if config.named:
        return config
    absent, unnamed = config.database.lacks_file(), "no .env, no BOTCTL_ setting"
    if acts and absent:
        message = f"nothing was done: {config.folder} has no database, {unnamed}"
        raise ConfigError(message, hint="go to the folder of your bot, or set BOTCTL_HOME")
    empty = f"this is an empty demo in {config.folder}: no database, {unnamed}"
    used = f"this is the demo in {config.folder}: {unnamed}"
    logging.getLogger(__name__).log(NOTICE, "%s", empty if looks and absent else used)
    if not (looks and absent):
        return config
    folder = ctx.with_resource(TemporaryDirectory(prefix="botctl-look-"))
    return replace(config, settings=replace(config.settings, database_url=f"sqlite:///{folder}/demo.db"))


def config_from(
    ctx: typer.Context,
    *,
    validate: bool = False,
    strict: bool = False,
    account: bool = False,
    warn: bool = True,
    acts: bool = False,
    looks: bool = False,
) -> Config:
    """The settings of this run; the log starts here.

    Warns of problems with settings that the command may not need, unless not to `warn`. Raises ConfigError for those
    that it does: with `account` those of the keys, with `strict` all. A command that `acts` needs a home that is named
    or has a database; for one that only `looks` none is made. Raises BadValue for --validate outside live mode.
    """
    config = load_config(env_file_of(ctx), lock_timeouts=ctx.obj, strict=strict)
    ctx.meta["mode"] = config.settings.botctl_mode
    config = in_a_named_home(ctx, with_log_problem(config, start_log_for(ctx, config)), acts=acts, looks=looks)
    raise_together(config.problems if strict else [])
    if account:
        config.require_account()
    for warning in (*config.warnings, *(config.problems if warn else ())):
        logging.getLogger(__name__).warning("%s", warning)
    if validate and config.settings.botctl_mode is not Mode.LIVE:
        raise BadValue(f"--validate needs live mode, and this is {config.settings.botctl_mode} mode", hint="omit it")
    return config


def symbol_from(ctx: typer.Context, text: str, *, to_buy: bool = False) -> str:
    """A SYMBOL argument: BTC/USD or btc-usd, and BTCUSD, XBTUSD or BTC of a known symbol.

    Known are those of open trades, then those of SYMBOLS, then those that were ever traded; `to_buy` only those of
    SYMBOLS. Raises BadValue, and ConfigError for settings that can't be read.
    """
    with suppress(ValueError):
        return parse_symbol(text)  # without a look at settings and database
    try:
        return resolve_symbol(text, *_known_symbols(load_config(env_file_of(ctx), strict=False), to_buy=to_buy))
    except ValueError as error:
        problem, _, advice = str(error).rpartition(": ")
        raise BadValue(problem, hint=advice) from None


def _known_symbols(config: Config, *, to_buy: bool) -> list[Sequence[str]]:
    configured = config.settings.symbols
    if to_buy or config.database.lacks_file():
        return [configured]
    from botctl.queries.known_symbols import load_known_symbols

    with suppress(BotError), open_store(config, create=False):  # what is wrong with it, the command itself says
        known = load_known_symbols()
        return [known.open, configured, known.traded]
    return [configured]


def trade_id_from(text: str) -> int | None:
    """A TRADE argument that is an id; None for one that is not a number. Raises BadValue."""
    if not re.fullmatch("[0-9]+", text.strip()):
        return None
    if len(text.strip()) > len(str(MAX_ID)) or not 0 < int(text) <= MAX_ID:
        raise BadValue(f"there is no trade {text:.60}", hint="see `botctl trades`")
    return int(text)


def amount_from(text: str, name: str = "AMOUNT", *, points: bool = False) -> Decimal:
    """An amount above zero, given as the argument or the option `name`. Raises BadValue.

    With `points` 1.000 is refused as 1,000 is: it may mean a thousand.
    """
    if problem := problem_with_separators(text, points=points):
        problem, _, advice = problem.rpartition(": ")
        raise BadValue(f"{name} {text!r:.60} {problem}", hint=advice)
    try:
        return to_amount(text)
    except ValueError as error:
        raise BadValue(f"{name} {error}", hint="give a number above zero, such as 100") from None


def money_from(text: str) -> Decimal:
    """An AMOUNT argument in quote currency. Raises BadValue, also for one with two readings."""
    return amount_from(text, points=True)


def time_from(flag: str, text: str | None) -> datetime | None:
    """The value of an option that takes a date or a time, in UTC. Raises BadValue."""
    if text is None:
        return None
    hint = "write it like 2026-01-31 or 2026-01-31T12:00"
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", text.strip()[:10]) and not _exists(text):
            raise BadValue(f"{flag} {text.strip()[:10]} is a day that does not exist", hint="correct it") from None
        raise BadValue(f"{flag} must be a date or time, not {text!r:.60}", hint=hint) from None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise BadValue(f"{flag} {text.strip()} must be of a year from {FIRST_YEAR} to {LAST_YEAR}", hint=hint)
    return time


def _exists(day: str) -> bool:
    with suppress(ValueError):
        return bool(date.fromisoformat(day.strip()[:10]))
    return False


def since_from(text: str | None) -> datetime | None:
    """A --since DATE in the past. Raises BadValue."""
    since = time_from("--since", text)
    if since is not None and since > datetime.now(UTC):
        raise BadValue(f"--since {text} is in the future", hint="give a date in the past")
    return since


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one only --yes goes on. Raises BadValue or Refused."""
    if yes:
        return
    check_terminal()
    if not typer.confirm(question, err=True):
        raise Refused("not confirmed: nothing was sent")


def check_terminal() -> None:
    """Raises BadValue without a terminal to ask on: before anything is fetched for the question."""
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed
        raise BadValue("this needs confirmation, and there is no terminal to ask on", hint="add --yes")


def exit_with(code: int) -> None:
    if code:
        raise typer.Exit(code)
