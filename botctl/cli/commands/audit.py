"""orders, why, explain and log: what was done, and why."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from botctl.cli.context import (
    FullFlag,
    JsonFlag,
    Limit,
    config_from,
    since_from,
    since_option,
    symbol_from,
    trade_id_from,
    wants_json,
)
from botctl.cli.help.completion import complete_symbol, complete_trade
from botctl.cli.log import log_errors
from botctl.cli.output import print_drawing, show, show_list
from botctl.cli.tables import Drawing
from botctl.cli.views.audit_trail import draw_decisions, draw_events, draw_trade_history
from botctl.cli.views.orders import draw_orders
from botctl.config import Config, open_store
from botctl.domain.errors import BadValue
from botctl.queries import audit_trail, journal
from botctl.queries.known_symbols import find_trade_of
from botctl.queries.results import EventView
from botctl.store.evidence.price_decimals import load_price_decimals

FOLLOW_SECONDS = 2.0
"""Between two reads of --follow."""


def orders(
    ctx: typer.Context,
    unsettled: Annotated[bool, typer.Option("--unsettled", help="Show only orders with an unknown outcome.")] = False,
    limit: Limit = 100,
    full: FullFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """List the orders that botctl recorded.

    Each order as it was recorded before it was sent, its state at Kraken, and its client order id. Needs no network.
    Each tick looks up orders that are UNKNOWN: never send one again by hand.

    \b
    Examples:
      botctl orders
      botctl orders --unsettled
    """
    with open_store(config_from(ctx, looks=True)):
        draw = partial(draw_orders, decimals=load_price_decimals(), full=full)
        show_list(ctx, journal.list_orders(limit=limit, unsettled=unsettled), draw, "no orders yet")


def why(
    ctx: typer.Context,
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="The market, such as BTC/USD.", autocompletion=complete_symbol)
    ],
    limit: Limit = 5,
    as_json: JsonFlag = False,
) -> None:
    """Show what the Council decided on SYMBOL, and why.

    Each agent's verdict and the outcome, newest first. Needs no network.

    \b
    Example:
      botctl why BTC/USD
    """
    symbol = symbol_from(ctx, symbol)
    with open_store(config_from(ctx, looks=True)):
        draw = partial(draw_decisions, decimals=load_price_decimals())
        show_list(ctx, journal.list_decisions(symbol, limit), draw, f"no decisions on {symbol} yet")


def explain(
    ctx: typer.Context,
    trade: Annotated[
        str,
        typer.Argument(
            metavar="TRADE",
            help="Its id, as in `botctl trades`, or a symbol: its open trade, else its newest.",
            autocompletion=complete_trade,
        ),
    ],
    full: FullFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the full history of one trade.

    Why it was bought, each move of its stop and the price that caused it, why it was
    sold, and what fees and slippage cost.

    \b
    Examples:
      botctl explain 7
      botctl explain BTC
    """
    number = trade_id_from(trade)
    symbol = symbol_from(ctx, trade) if number is None else ""
    with open_store(config_from(ctx, looks=True)):
        view = audit_trail.explain(number if number is not None else find_trade_of(symbol))
        decimals = load_price_decimals()
    show(ctx, view, partial(draw_trade_history, decimals=decimals, full=full))


def show_log(
    ctx: typer.Context,
    symbol: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL",
            show_default="all",
            help="Show only trades of this symbol.",
            autocompletion=complete_symbol,
        ),
    ] = None,
    since: Annotated[str | None, since_option("the oldest event")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new events until Ctrl-C.")] = False,
    limit: Limit = 50,
    full: FullFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every change of a trade or of the kill switch.

    \b
    Examples:
      botctl log --symbol BTC/USD --since 2026-11-01
      botctl log --follow
    """
    only_symbol = None if symbol is None else symbol_from(ctx, symbol)
    start = since_from(since)
    if follow and wants_json(ctx):
        raise BadValue("--follow and --json can't be used together", hint="choose one of them")
    config = config_from(ctx, looks=True)
    with open_store(config):
        events = audit_trail.list_events(symbol=only_symbol, since=start, limit=limit)
        draw = partial(draw_events, decimals=load_price_decimals(), full=full)
    show_list(ctx, list(events) if follow else events, draw, "no events yet")
    if follow:
        log_errors(events.broken)
        with suppress(KeyboardInterrupt):
            _follow(config, only_symbol, events[-1].id if events else 0, draw)


def _follow(config: Config, symbol: str | None, last_id: int, draw: Callable[[Sequence[EventView]], Drawing]) -> None:
    while True:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        with open_store(config):  # reopened each time: `recover` may have replaced the file
            events = audit_trail.list_events(symbol=symbol, after_id=last_id)
        log_errors(events.broken)
        if events:
            last_id = events[-1].id
            print_drawing(draw(events))
