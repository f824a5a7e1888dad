"""pause and resume: the kill switch, without network."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with
from botctl.cli.log import notice
from botctl.cli.output import show
from botctl.cli.views.status import draw_switch
from botctl.config import Config, open_store, why_no_buys
from botctl.domain.errors import BotError, ConfigError, Refused, WrongDatabase
from botctl.domain.kill_switch import PAUSED, SwitchState, describe_frozen
from botctl.domain.text import sanitize
from botctl.store.database import DATABASE_ERRORS
from botctl.store.journal import Journal
from botctl.store.resting_stops import load_resting_stops

MAX_REASON_LENGTH = 500
NOBODY = "open positions are NOT guarded"


def pause(
    ctx: typer.Context,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Stop guarding open positions as well: send no order.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", show_default="none", help="Why, for the audit trail.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Pause trading: buy nothing more; ticks still check stops.

    The Council does not run; stops and the drawdown guard keep protecting open positions. Works without network, and
    does not wait for a run. If it can't write to the database, it creates the file HALT beside it, which pauses as
    well. With --freeze open positions are UNGUARDED, and only `botctl liquidate` sends orders. Exit code 1 when it
    could not pause or freeze.

    \b
    Examples:
      botctl pause --reason "exchange is upgrading"
      botctl pause --freeze
    """
    try:
        config = config_from(ctx, acts=True)
    except ConfigError as error:
        raise _not_paused(error) from error
    try:
        with open_store(config):
            config.switch.pause(datetime.now(UTC), freeze=freeze, reason=sanitize(reason, MAX_REASON_LENGTH))
            state, (held, resting) = config.switch.read(), _held_and_resting(config)
    except (*DATABASE_ERRORS, BotError) as error:
        state, (held, resting) = _pause_by_file(config, error), (0, 0)
    if state.frozen:
        guarded = describe_frozen(held, resting) if resting else NOBODY
        notice(f"frozen: {guarded} until `botctl resume`")
    elif freeze:
        notice("NOT frozen, only paused: stops and the drawdown guard still sell")
    show(ctx, state, partial(draw_switch, open_trades=held, resting=resting, no_buys=why_no_buys(config)))
    exit_with(BotError.exit_code if freeze and not state.frozen else 0)


def _held_and_resting(config: Config) -> tuple[int, int]:
    """How many trades are open, and how many of their stops rest at the exchange."""
    return len(Journal(config.settings.botctl_mode).open_symbols()), len(load_resting_stops())


def _pause_by_file(config: Config, error: Exception) -> SwitchState:
    """Create the file HALT when the database can't be written. Raises `error` for a missing or wrong database."""
    if isinstance(error, WrongDatabase) or config.database.lacks_file():
        raise _not_paused(error) if isinstance(error, BotError) else error
    try:
        file = config.switch.halt()
    except OSError as no_file:
        problem = f"NOT PAUSED: {error}; and the file {config.halt_files[0]} can't be created: {no_file.strerror}"
        raise BotError(problem, hint="free some space or fix the folder's permissions, then pause again") from error
    what = " this machine's runs" if config.database.file is None else ""
    why = f"the database failed ({error}); the file {file} pauses{what} instead"
    notice(why)
    return SwitchState(PAUSED, False, False, None, why)


def _not_paused(error: BotError) -> BotError:
    return type(error)(f"NOT PAUSED: {error.message}", hint=error.hint)


def resume(
    ctx: typer.Context,
    enable_buys: Annotated[bool, typer.Option("--enable-buys", help="Allow buys again as well.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Resume trading after a pause or a freeze.

    Works without network. After a drawdown or a liquidation, buys stay disabled unless you add --enable-buys. Exit
    code 3 when something else still pauses botctl, such as the file HALT.

    \b
    Examples:
      botctl resume
      botctl resume --enable-buys
    """
    config = config_from(ctx, acts=True)
    with open_store(config):
        config.switch.resume(datetime.now(UTC), enable_buys=enable_buys)
        state, (held, resting) = config.switch.read(), _held_and_resting(config)
    if state.paused:
        notice(f"still paused: {state.why}; remove the cause")
    elif not state.buy_enabled:
        notice("buys stay disabled: `botctl resume --enable-buys` allows them")
    show(ctx, state, partial(draw_switch, open_trades=held, resting=resting, no_buys=why_no_buys(config)))
    exit_with(Refused.exit_code if state.paused else 0)
