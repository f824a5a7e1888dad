"""resting-stops: the stop orders that wait at Kraken."""

from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, YesFlag, config_from, confirm, exit_with
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show_list
from botctl.cli.views.orders import draw_resting_stops
from botctl.config import open_store
from botctl.domain.errors import exit_code_of
from botctl.queries.resting_stops import list_resting_stops
from botctl.wiring import open_bot

NONE = "no stop rests at Kraken"


def resting_stops(
    ctx: typer.Context,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel all of them at Kraken.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """List the stop orders that rest at Kraken, or cancel them.

    With EXCHANGE_STOP=on each open trade has one, below the stop that ticks check: it sells while this machine is off.
    Listing needs no network. --cancel asks first, and says which have ended; the next tick places new ones while
    EXCHANGE_STOP is on. Your own orders at Kraken are never touched.

    \b
    Examples:
      botctl resting-stops
      botctl resting-stops --cancel
    """
    if not cancel:
        with open_store(config_from(ctx, looks=True)):
            show_list(ctx, list_resting_stops(), draw_resting_stops, NONE)
        return
    config = config_from(ctx, acts=True, account=True)
    confirm("Cancel every stop that rests at Kraken? Open positions are then guarded by ticks alone.", yes=yes)
    with open_bot(config) as bot:
        errors = bot.resting.cancel_all()
        left = list_resting_stops()
    log_errors(errors)
    if config.settings.exchange_stop:
        notice("the next tick places new ones: set EXCHANGE_STOP=off if there are to be none")
    show_list(ctx, left, draw_resting_stops, NONE)
    exit_with(exit_code_of(errors))
