"""What happened, in order: explain one trade, log the audit trail."""

import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from botctl.cli.commands.portfolio import Limit
from botctl.cli.completion import complete_symbol, complete_trade
from botctl.cli.context import JsonFlag, Since, config_from, since_from, symbol_from, wants_json
from botctl.cli.output import print_drawing, show, show_list
from botctl.cli.views.audit_trail import draw_events, draw_trade_history
from botctl.config import Config, open_store
from botctl.domain.errors import BadValue

LOOK_AGAIN_AFTER = 2.0
"""Seconds between two looks of --follow."""


def explain(
    ctx: typer.Context,
    trade: Annotated[
        int,
        typer.Argument(metavar="TRADE", min=1, help="Its number, as in `trades`.", autocompletion=complete_trade),
    ],
    as_json: JsonFlag = False,
) -> None:
    """The whole life of one trade, in order.

    Why it was bought, each move of its stop with the price behind it, why it was
    sold, and what fees and slippage cost.

    \b
    Example:
      botctl explain 7
    """
    from botctl.queries import audit_trail

    with open_store(config_from(ctx)):
        view = audit_trail.explain(trade)
    show(ctx, view, draw_trade_history)


def show_log(
    ctx: typer.Context,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", metavar="SYMBOL", help="Only its trades.", autocompletion=complete_symbol),
    ] = None,
    since: Since = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes; Ctrl-C ends it.")] = False,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """The audit trail: each change of a trade or of the switch.

    \b
    Examples:
      botctl log --symbol BTC/USD --since 2026-11-01
      botctl log --follow
    """
    from botctl.queries import audit_trail

    wanted = None if symbol is None else symbol_from(symbol)
    begin = since_from(since)
    if follow and wants_json(ctx):
        raise BadValue("--follow has no end, and so no JSON document", hint="leave out one of them")
    config = config_from(ctx)
    with open_store(config):
        rows = audit_trail.list_events(symbol=wanted, since=begin, limit=limit)
    show_list(ctx, rows, draw_events, "nothing has happened yet")
    if follow:
        with suppress(KeyboardInterrupt):  # the way to end it
            _follow(ctx, config, wanted, rows[-1].id if rows else 0)


def _follow(ctx: typer.Context, config: Config, symbol: str | None, last_id: int) -> None:
    """Show what comes after an event, for ever."""
    from botctl.queries import audit_trail

    while True:
        sys.stdout.flush()
        time.sleep(LOOK_AGAIN_AFTER)
        with open_store(config):  # opened anew each time: recover may have put another file in its place
            new = audit_trail.list_events(symbol=symbol, after_id=last_id)
        if new:
            last_id = new[-1].id
            print_drawing(draw_events(new))


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)
    app.command("log")(show_log)
