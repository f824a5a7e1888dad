"""What every command shares: its flags, its settings, its log."""

import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from botctl.cli.log import notice as notice
from botctl.cli.log import start_log
from botctl.config import Config, load_config
from botctl.domain.errors import BadValue, BotError, Refused
from botctl.domain.money import to_amount
from botctl.domain.settings import Mode
from botctl.domain.symbols import parse_symbol


def _remember_json(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta["json"] = wanted
    return wanted


JsonFlag = Annotated[
    bool, typer.Option("--json", callback=_remember_json, help="One JSON document on stdout, for scripts.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask; needed off a terminal.")]
ValidateFlag = Annotated[bool, typer.Option("--validate", help="Live only: Kraken checks the order, nothing trades.")]


class LogFlags(TypedDict):
    debug: bool
    as_json: bool


def wants_json(ctx: typer.Context) -> bool:
    return bool(ctx.meta.get("json"))


def env_file_of(ctx: typer.Context) -> Path | None:
    """What --env-file names. The root's parameters are still text here."""
    given = ctx.find_root().params.get("env_file")
    return None if given is None else Path(given)


def log_flags(ctx: typer.Context) -> LogFlags:
    """What --debug and --log-json ask of the log."""
    given = ctx.find_root().params
    return {"debug": bool(given.get("debug")), "as_json": bool(given.get("log_json"))}


def config_from(ctx: typer.Context) -> Config:
    """The settings of this run; the log starts here."""
    config = load_config(env_file_of(ctx), lock_timeouts=ctx.obj)
    ctx.meta["mode"] = config.settings.botctl_mode
    start_log(config, **log_flags(ctx))
    for warning in config.warnings:
        logging.getLogger(__name__).warning("%s", warning)
    return config


def log_errors(errors: list[BotError]) -> None:
    """Say each error once."""
    for error in errors:
        logging.getLogger("botctl").error("%s", error)


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
        raise BadValue(f"AMOUNT {error}", hint="give a plain number above zero, such as 100") from None


def since_from(text: str | None) -> datetime | None:
    """A --since DATE, as a moment in UTC. Raises BadValue."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadValue(f"--since {text!r} is no date", hint="write it like 2026-11-01") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > datetime.now(UTC):
        raise BadValue(f"--since {text} lies in the future", hint="name a day in the past")
    return moment


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; off one only --yes goes on. Raises BadValue or Refused."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadValue("this needs a yes, and there is no terminal to ask on", hint="add --yes")
    if not typer.confirm(question, err=True):
        raise Refused("not confirmed: nothing was sent")


def check_validate(config: Config, validate: bool) -> None:
    """--validate means something only where Kraken takes orders."""
    if validate and config.settings.botctl_mode is not Mode.LIVE:
        raise BadValue(f"--validate works in live mode, and this is {config.settings.botctl_mode}", hint="leave it out")


def exit_with(code: int) -> None:
    """End the command with this exit code."""
    if code:
        raise typer.Exit(code)


Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="How far back to look, such as 2026-11-01 (UTC).")
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="PATH", help="Read settings from this file instead of .env in the home."),
]
