"""status, positions, trades and balance: what the database and the account hold."""

import sys
from functools import partial
from typing import Annotated

import typer

from botctl.cli.cockpit import read_cockpit
from botctl.cli.context import FullFlag, JsonFlag, Limit, config_from, exit_with, wants_json
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show, show_list
from botctl.cli.views.positions import draw_live_positions, draw_trades
from botctl.cli.views.status import draw_status
from botctl.cli.views.trades import draw_all_trades
from botctl.config import Config, open_store
from botctl.domain.errors import BadValue, exit_code_of
from botctl.domain.kill_switch import describe_frozen
from botctl.queries import portfolio
from botctl.queries.resting_stops import name_unprotected, unprotected_notice
from botctl.store.broken_rows import find_broken_rows
from botctl.store.evidence.gone_markets import load_gone_markets
from botctl.store.evidence.price_decimals import load_price_decimals

WATCH_SECONDS = 5
WatchFlag = Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")]


def status(
    ctx: typer.Context,
    seconds: Annotated[
        int | None,
        typer.Argument(metavar="[SECONDS]", min=1, max=3600, help="With --watch: between two prices; 5 by default."),
    ] = None,
    watch: WatchFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the state of the bot, without network.

    The kill switch in words; each position with its last known price, its stop and what it would bring there; the
    equity from the first tick to the last, the drawdown and its limits, cash; the last tick, the next one and what runs
    them; and what is wrong now.

    --watch does the same until Ctrl-C, on a terminal: it reads public prices every few SECONDS, and shows how old each
    is. It takes no lock and sends no order: ticks go on meanwhile.

    \b
    Examples:
      botctl status
      botctl status --watch
      botctl status --watch 30
      botctl status --json
    """
    _require_terminal(ctx, watch=watch)
    if seconds is not None and not watch:
        raise BadValue(f"SECONDS {seconds} needs --watch", hint=f"botctl status --watch {seconds}")
    config = config_from(ctx, looks=True)
    if watch:
        _watch(config, seconds or WATCH_SECONDS)
        return
    with open_store(config):
        holder = config.database.find_lock_holder()
        view = read_cockpit(config, holder=holder)
        gone, broken = load_gone_markets(), find_broken_rows()
    notice(*map(str, gone))
    if wants_json(ctx) or not sys.stdout.isatty():  # on a terminal the cockpit says it, in red
        notice(*filter(None, [view.status.overdue]), *unprotected_notice(view.status.unprotected))
        if view.status.frozen:
            notice(f"FROZEN: {describe_frozen(view.status.open_trades, view.status.resting_stops)}")
    if holder is not None and (holder.seconds or 0) > config.stuck_after:
        notice(f"a run hangs ({holder}): the next tick ends it; `botctl liquidate --take-over` ends it and sells all")
    log_errors(broken)
    show(ctx, view, draw_status, name_mode=False)
    exit_with(exit_code_of(broken))


def positions(
    ctx: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Fetch current prices.")] = False,
    watch: WatchFlag = False,
    every: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=3600, help="Seconds between two refreshes of --watch.")
    ] = WATCH_SECONDS,
    as_json: JsonFlag = False,
) -> None:
    """List open trades with their stops.

    The entry, the stop and the highest price so far, without network. --live adds the current price, the
    profit after both fees, and the price at which it is zero.

    --watch is `botctl status --watch`: each position with the age of its price and the distance to its stop.

    \b
    Examples:
      botctl positions
      botctl positions --watch
    """
    _require_terminal(ctx, watch=watch)
    config = config_from(ctx, looks=True)
    if watch:
        _watch(config, every)
        return
    with open_store(config):
        distance = config.settings.resting_distance
        notice(*map(str, load_gone_markets()), *unprotected_notice(name_unprotected(distance)))
        if live:
            from botctl.wiring import build_market

            market, rates = build_market(config.settings), portfolio.fee_rates(config.settings)
            rows = portfolio.list_live_positions(market, rates, distance)
            show_list(ctx, rows, partial(draw_live_positions, decimals=load_price_decimals()), "no open positions")
        else:
            draw = partial(draw_trades, decimals=load_price_decimals())
            show_list(ctx, portfolio.list_positions(distance), draw, "no open positions")


def _require_terminal(ctx: typer.Context, *, watch: bool) -> None:
    """Raises BadValue for --watch without a terminal."""
    if watch and (wants_json(ctx) or not sys.stdout.isatty()):
        raise BadValue(
            "--watch needs a terminal and can't be used with --json", hint="use `positions --live --json` in scripts"
        )


def _watch(config: Config, seconds: int) -> None:
    from botctl.cli.commands.watch import watch_cockpit

    watch_cockpit(config, seconds)


def trades(ctx: typer.Context, limit: Limit = 100, full: FullFlag = False, as_json: JsonFlag = False) -> None:
    """List all trades with their profit, and the totals.

    Open and closed ones. P&L is after both fees, in the quote currency; totals and win rate are of the trades listed.
    Needs no network. `botctl explain` shows the history of one trade.

    \b
    Examples:
      botctl trades
      botctl trades --json --limit 1000
    """
    with open_store(config_from(ctx, looks=True)):
        draw = partial(draw_all_trades, decimals=load_price_decimals(), full=full)
        show_list(ctx, portfolio.list_trades(limit=limit), draw, "no trades yet")


def balance(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the account's balances and their value.

    The whole account, including coins that botctl did not buy, valued in QUOTE_CURRENCY at the last prices. `free` is
    what is not reserved by an order.

    \b
    Example:
      botctl balance
    """
    from botctl.cli.views.balances import draw_balances
    from botctl.domain.account.equity import value_of
    from botctl.queries.results import BalanceView
    from botctl.wiring import open_bot

    config = config_from(ctx, looks=True, account=True)
    with open_bot(config) as bot:
        snapshot = bot.snapshots.take_snapshot([])
    balances, quote_currency = snapshot.balances, config.settings.quote_currency
    if balances is None:
        raise snapshot.problems[0]
    rows = []
    for currency in sorted(balances.currencies()):
        total, free = balances.total(currency), balances.spendable(currency)
        rows.append(BalanceView(currency, total, free, value_of(currency, total, quote_currency, snapshot.prices)))
    log_errors(snapshot.problems)
    show_list(ctx, rows, partial(draw_balances, currency=quote_currency), "the account is empty")
