"""status, positions, trades and balance: what the database and the account hold."""

import sys
from typing import Annotated

import typer

from botctl.cli.cockpit import read_cockpit
from botctl.cli.context import JsonFlag, Limit, config_from, exit_with, wants_json
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show, show_list
from botctl.cli.views.positions import draw_live_positions, draw_trades
from botctl.cli.views.status import draw_status
from botctl.config import open_store
from botctl.domain.errors import BadValue, exit_code_of
from botctl.queries import portfolio
from botctl.store.broken_rows import find_broken_rows
from botctl.store.evidence.gone_markets import load_gone_markets


def status(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the state of the bot, without network.

    The kill switch, equity and drawdown as of the last tick, open trades, unsettled orders and missed ticks; on a
    terminal also a week's equity curve. Warns when positions are unguarded, or when no tick has run for too long, and
    says which run holds the lock.

    \b
    Examples:
      botctl status
      botctl status --json
    """
    config = config_from(ctx, looks=True)
    with open_store(config):
        holder = config.database.find_lock_holder()
        view = read_cockpit(config, holder=holder)
        gone, broken = load_gone_markets(), find_broken_rows()
    notice(*map(str, gone), *filter(None, [view.status.overdue]))
    if view.status.frozen:
        notice(f"FROZEN: {view.status.open_trades} open positions are NOT guarded")
    if holder is not None and (holder.seconds or 0) > config.stuck_after:
        notice(f"a run hangs ({holder}): the next tick ends it; `botctl liquidate --take-over` ends it and sells all")
    log_errors(broken)
    show(ctx, view, lambda view: draw_status(view.status), name_mode=False)
    exit_with(exit_code_of(broken))


def positions(
    ctx: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Fetch current prices.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option(metavar="SECONDS", min=1, max=3600, help="Refresh interval of --watch.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """List open trades with their stops.

    The entry, the stop and the highest price so far, without network. --live adds the current price, the
    profit after both fees, and the price at which it is zero.

    --watch also shows how far each price is from its stop. It fetches only public
    prices, takes no lock and sends no order: ticks continue meanwhile.

    \b
    Examples:
      botctl positions
      botctl positions --watch
    """
    if watch and (wants_json(ctx) or not sys.stdout.isatty()):
        raise BadValue("--watch needs a terminal and excludes --json", hint="use --live --json in scripts")
    config = config_from(ctx, looks=True)
    if watch:
        from botctl.cli.commands.watch import watch_positions

        watch_positions(config, every)
        return
    with open_store(config):
        notice(*map(str, load_gone_markets()))
        if live:
            from botctl.wiring import build_market

            rows = portfolio.list_live_positions(build_market(config.settings), portfolio.fee_rates(config.settings))
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
    with open_store(config_from(ctx, looks=True)):
        show_list(ctx, portfolio.list_trades(limit=limit), draw_trades, "no trades yet")


def balance(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the account's balances and their value.

    The whole account, including coins that botctl did not buy, valued in QUOTE_CURRENCY at last prices. `free` is what
    no order reserves.

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
    show_list(ctx, rows, draw_balances, "the account is empty")
