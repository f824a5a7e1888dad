"""The kill switch: instant, and offline."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with, notice
from botctl.cli.output import show
from botctl.cli.views.status import draw_switch
from botctl.config import Config, open_store
from botctl.domain.errors import BotError, ConfigError, WrongDatabase
from botctl.domain.kill_switch import PAUSED, SwitchState
from botctl.domain.text import sanitize
from botctl.store.database import DATABASE_ERRORS

MOST_REASON = 500
"""Characters of a reason that are kept."""


def pause(
    ctx: typer.Context,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Stop guarding open positions too: no order at all.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the one who reads it later.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Stop trading: no Council, no entries. Stops and the drawdown guard keep protecting what is open.

    Needs no network and waits for no run. If the database can't be written, it makes the file HALT beside it, which
    pauses too. With --freeze open positions are UNGUARDED, and no order but `botctl liquidate`'s is sent.

    \b
    Examples:
      botctl pause --reason "exchange is upgrading"
      botctl pause --freeze
    """
    config = config_from(ctx)
    try:
        with open_store(config):
            config.switch.pause(datetime.now(UTC), freeze=freeze, reason=sanitize(reason, MOST_REASON))
            state = config.switch.read()
    except (*DATABASE_ERRORS, BotError) as error:
        state = _pause_by_file(config, error)
    if state.frozen:
        notice("frozen: open positions are NOT guarded until `botctl resume`")
    show(ctx, state, draw_switch)


def _pause_by_file(config: Config, error: Exception) -> SwitchState:
    """The database could not take it: a file beside it pauses as well. A wrong database stays an error."""
    on_server = config.database.file is None
    if isinstance(error, WrongDatabase) or config.database.lacks_file():
        raise error
    try:
        config.switch.halt()
    except OSError:
        raise ConfigError(f"can't pause: {error}", hint=f"create the file {config.halt_file} by hand") from error
    whom = " this machine's runs" if on_server else ""
    why = f"the database failed ({error}); the file {config.halt_file} pauses{whom} instead"
    notice(why)
    return SwitchState(PAUSED, False, False, None, why)


def resume(
    ctx: typer.Context,
    enable_buys: Annotated[
        bool, typer.Option("--enable-buys", help="Allow buys again after a drawdown or a liquidation.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trade again.

    Ends a pause and a freeze, offline. After a tripped drawdown guard or a liquidation buys stay disabled without
    --enable-buys. Exit code 3 when something else still pauses, such as the file HALT.

    \b
    Examples:
      botctl resume
      botctl resume --enable-buys
    """
    config = config_from(ctx)
    with open_store(config):
        config.switch.resume(datetime.now(UTC), enable_buys=enable_buys)
        state = config.switch.read()
    if state.paused:
        notice(f"still paused: {state.why}; remove what pauses it")
    elif not state.buy_enabled:
        notice("buys stay disabled: `botctl resume --enable-buys` allows them")
    show(ctx, state, draw_switch)
    exit_with(3 if state.paused else 0)


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)
