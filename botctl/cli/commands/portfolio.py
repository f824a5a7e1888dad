"""status, positions, trades, orders, why and balance: what the database and the account hold."""

import sys
from typing import Annotated

import typer

from botctl.cli.completion import complete_symbol
from botctl.cli.context import JsonFlag, config_from, symbol_from, wants_json
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show, show_list
from botctl.cli.views.audit_trail import draw_decisions
from botctl.cli.views.orders import draw_orders
from botctl.cli.views.positions import draw_balances, draw_live_positions, draw_trades
from botctl.cli.views.status import draw_status
from botctl.config import open_store
from botctl.domain.equity import value_of
from botctl.domain.errors import BadValue
from botctl.queries import journal, portfolio
from botctl.queries.results import BalanceView

Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="Show at most the newest COUNT.")
]


def status(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the state of the bot, without network.

    The kill switch, equity and drawdown as of the last tick, open trades, unsettled orders and missed ticks; on a
    terminal also a week's equity curve. Warns when positions are unguarded.

    \b
    Examples:
      botctl status
      botctl status --json
    """
    config = config_from(ctx)
    settings = config.settings
    with open_store(config):
        mode, now = settings.botctl_mode, portfolio.now_offline(settings.botctl_mode)
        view = portfolio.status(mode, config.switch, settings.initial_balance, now, settings.timeframe.seconds)
    if view.frozen:
        notice(f"FROZEN: {view.open_trades} open positions are NOT guarded")
    show(ctx, view, draw_status, name_mode=False)


def positions(
    ctx: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Fetch current prices.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option(metavar="SECONDS", min=1, max=3600, help="Refresh interval of --watch.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """List open trades with their stops.

    The entry, the stop and the highest price so far, without network. --live adds the current price and the profit.

    --watch also shows how far each price is from its stop. It fetches only public
    prices, takes no lock and sends no order: ticks continue meanwhile.

    \b
    Examples:
      botctl positions
      botctl positions --watch
    """
    if watch and (wants_json(ctx) or not sys.stdout.isatty()):
        raise BadValue("--watch needs a terminal and excludes --json", hint="use --live --json in scripts")
    config = config_from(ctx)
    if watch:
        from botctl.cli.commands.watch import watch_positions

        watch_positions(config, every)
        return
    with open_store(config):
        if live:
            from botctl.wiring import build_market

            rows = portfolio.list_live_positions(build_market(config.settings))
            show_list(ctx, rows, draw_live_positions, "no open positions")
        else:
            show_list(ctx, portfolio.list_positions(), draw_trades, "no open positions")


def trades(ctx: typer.Context, limit: Limit = 100, as_json: JsonFlag = False) -> None:
    """List all trades with their profit.

    P&L is after both fees, in the quote currency. Needs no network. `botctl explain` shows the history of one trade.

    \b
    Examples:
      botctl trades
      botctl trades --json --limit 1000
    """
    with open_store(config_from(ctx)):
        show_list(ctx, portfolio.list_trades(limit=limit), draw_trades, "no trades yet")


def orders(
    ctx: typer.Context,
    unsettled: Annotated[bool, typer.Option("--unsettled", help="Show only orders with an unknown outcome.")] = False,
    limit: Limit = 100,
    as_json: JsonFlag = False,
) -> None:
    """List the orders of the journal.

    Each order as it was recorded before it was sent, its state at Kraken, and its client order id. Needs no network.
    Each tick looks up orders that are UNKNOWN: never send one again by hand.

    \b
    Examples:
      botctl orders
      botctl orders --unsettled
    """
    with open_store(config_from(ctx)):
        show_list(ctx, journal.list_orders(limit=limit, unsettled=unsettled), draw_orders, "no orders yet")


def why(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTC/USD.", autocompletion=complete_symbol)],
    limit: Limit = 5,
    as_json: JsonFlag = False,
) -> None:
    """Show what the Council decided on SYMBOL, and why.

    Each agent's verdict and the outcome, newest first. Needs no network.

    \b
    Example:
      botctl why BTC/USD
    """
    symbol = symbol_from(symbol)
    with open_store(config_from(ctx)):
        show_list(ctx, journal.list_decisions(symbol, limit), draw_decisions, f"no decisions on {symbol} yet")


def balance(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the account's balances and their value.

    The whole account, including coins that botctl did not buy, valued in QUOTE_CURRENCY at last prices. `free` is what
    no order reserves.

    \b
    Example:
      botctl balance
    """
    from botctl.wiring import open_bot

    config = config_from(ctx)
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
    show_list(ctx, rows, draw_balances, "the account is empty")
