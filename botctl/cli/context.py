"""What every command shares: its flags, its arguments, its settings and its log."""

import logging
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from botctl.cli.log import NOTICE, start_log
from botctl.config import Config, load_config, raise_together
from botctl.domain.configuration.setting_problems import BadSetting
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BadValue, ConfigError, Refused
from botctl.domain.money import to_amount, two_readings
from botctl.domain.symbols import parse_symbol


def _remember_json(ctx: typer.Context, as_json: bool) -> bool:
    ctx.meta["json"] = as_json
    return as_json


JsonFlag = Annotated[
    bool, typer.Option("--json", callback=_remember_json, help="Print one JSON document, for scripts.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Skip confirmation; required without a terminal.")]
ValidateFlag = Annotated[
    bool, typer.Option("--validate", help="Live mode only: have Kraken check orders without placing them.")
]
FullFlag = Annotated[bool, typer.Option("--full", help="Show everything: all columns, whole ids, times to the second.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="Show at most the newest COUNT.")
]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Start date (UTC), such as 2026-11-01.")]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="PATH", help="Read settings from this file instead of .env in BOTCTL_HOME."),
]


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
    absent, unnamed = config.database.lacks_file(), "no .env, and no BOTCTL_ setting in the environment"
    if acts and absent:
        message = f"nothing was done: {config.folder} has no database, {unnamed}"
        raise ConfigError(message, hint="go to the folder of your bot, or set BOTCTL_HOME")
    empty = f"{config.folder} has no database, {unnamed}; this is an empty demo"
    used = f"this is the demo in {config.folder}, which has {unnamed}"
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


def symbol_from(text: str) -> str:
    """A SYMBOL argument. Raises BadValue."""
    try:
        return parse_symbol(text)
    except ValueError as error:
        raise BadValue(str(error), hint="write it like BTC/USD") from None


def amount_from(text: str) -> Decimal:
    """An AMOUNT argument. Raises BadValue."""
    try:
        return to_amount(text)
    except ValueError as error:
        raise BadValue(f"AMOUNT {error}", hint="give a number above zero, such as 100") from None


def money_from(text: str) -> Decimal:
    """An AMOUNT argument in quote currency. Raises BadValue, also for one with two readings."""
    if readings := two_readings(text):
        raise BadValue(
            f"AMOUNT {text} has two readings: {readings}?", hint="write it without a separator, or with two decimals"
        )
    return amount_from(text)


def time_from(flag: str, text: str | None) -> datetime | None:
    """The value of an option that takes a date or a time, in UTC. Raises BadValue."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "write it like 2026-01-31 or 2026-01-31T12:00"
        raise BadValue(f"{flag} must be a date or time, not {text!r}", hint=hint) from None


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
