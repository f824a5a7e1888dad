"""The kill switch: instant, and offline."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, exit_with, home_of, say
from botctl.cli.render import show
from botctl.domain.errors import BotError, ConfigError, WrongDatabase
from botctl.domain.results import SwitchView
from botctl.domain.words import printable
from botctl.home import Home, open_store
from botctl.store.database import DATABASE_ERRORS
from botctl.store.switch import PAUSED, SwitchState

MOST_REASON = 500
"""Characters of a reason that are kept."""


def pause(
    ctx: typer.Context,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Stop guarding open positions too: no order at all.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the one who reads it later.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Stop trading: no Council, no entries. Stops and the drawdown guard keep protecting what is open.

    \b
    Examples:
      botctl pause --reason "exchange is upgrading"
      botctl pause --freeze
    """
    home = home_of(ctx)
    try:
        with open_store(home):
            home.switch.pause(datetime.now(UTC), freeze=freeze, reason=printable(reason, MOST_REASON))
            state = home.switch.read()
    except (*DATABASE_ERRORS, BotError) as error:
        state = _pause_by_file(home, error)
    if state.frozen:
        say("frozen: open positions are NOT guarded until `botctl resume`")
    show(ctx, view(state))


def _pause_by_file(home: Home, error: Exception) -> SwitchState:
    """The database could not take it: a file beside it pauses as well. A wrong database stays an error."""
    if isinstance(error, WrongDatabase) or not home.database.exists():
        raise error
    try:
        home.halt_file.touch(mode=0o600)
    except OSError:
        raise ConfigError(f"can't pause: {error}", hint=f"create the file {home.halt_file} by hand") from error
    why = f"the database failed ({error}); the file {home.halt_file} pauses instead"
    say(why)
    return SwitchState(PAUSED, False, False, None, why)


def resume(
    ctx: typer.Context,
    enable_buys: Annotated[
        bool, typer.Option("--enable-buys", help="Allow buys again after a drawdown or a liquidation.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trade again.

    \b
    Examples:
      botctl resume
      botctl resume --enable-buys
    """
    home = home_of(ctx)
    with open_store(home):
        home.switch.resume(datetime.now(UTC), enable_buys=enable_buys)
        state = home.switch.read()
    if state.paused:
        say(f"still paused: {state.why}; remove what pauses it")
    elif not state.buy_enabled:
        say("buys stay disabled: `botctl resume --enable-buys` allows them")
    show(ctx, view(state))
    exit_with(3 if state.paused else 0)


def view(state: SwitchState) -> SwitchView:
    return SwitchView(state.system_status, state.frozen, state.buy_enabled, state.tripped_at, state.why)


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)
