"""What is, what was, and why. All but balance and --live read the database alone."""

import sys
from typing import Annotated

import typer

from botctl.cli.completion import complete_symbol
from botctl.cli.context import JsonFlag, config_from, log_errors, symbol_from, wants_json
from botctl.cli.output import show, show_list
from botctl.config import open_store
from botctl.domain.errors import BadValue, BotError, ExchangeUnreachable

Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="Show at most so many, the newest.")
]


def status(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """All of it at one glance, without network.

    The switch, equity and drawdown as the last tick saw them, open trades, orders without an ending, missed ticks; on
    a terminal also the curve of a week's equity. Says loudly when positions are unguarded.

    \b
    Examples:
      botctl status
      botctl status --json
    """
    from botctl.cli.views.status import draw_status
    from botctl.queries import portfolio

    config = config_from(ctx)
    settings = config.settings
    with open_store(config):
        view = portfolio.status(
            settings.botctl_mode,
            config.switch,
            settings.initial_balance,
            portfolio.now_offline(settings.botctl_mode),
            settings.timeframe_seconds,
        )
    if view.frozen:
        print(f"botctl: FROZEN: {view.open_trades} open positions are NOT guarded", file=sys.stderr)
    show(ctx, view, draw_status, name_mode=False)


def positions(
    ctx: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Fetch prices of now.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on and on; Ctrl-C ends it.")] = False,
    every: Annotated[
        int, typer.Option("--every", metavar="SECONDS", min=1, max=3600, help="Between two looks of --watch.")
    ] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Open trades with their stops.

    The entry, the stop, and the highest price so far, without network. --live adds the price of now and the profit.

    --watch also shows how far each price is from its stop. It asks for public
    prices alone, takes no lock and sends no order: ticks go on beside it.

    \b
    Examples:
      botctl positions
      botctl positions --watch
    """
    from botctl.cli.views.positions import draw_live_positions, draw_trades
    from botctl.queries import portfolio

    if watch and (wants_json(ctx) or not sys.stdout.isatty()):
        raise BadValue("--watch is for a person at a terminal", hint="use --live, and --json for scripts")
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
    """Every trade there was, its profit, and why it ended.

    P&L is after both fees, in the quote currency. Needs no network. `botctl explain` tells the life of one.

    \b
    Examples:
      botctl trades
      botctl trades --json --limit 1000
    """
    from botctl.cli.views.positions import draw_trades
    from botctl.queries import portfolio

    with open_store(config_from(ctx)):
        show_list(ctx, portfolio.list_trades(limit=limit), draw_trades, "no trades yet")


def orders(
    ctx: typer.Context,
    unsettled: Annotated[bool, typer.Option("--unsettled", help="Only those whose ending is not known.")] = False,
    limit: Limit = 100,
    as_json: JsonFlag = False,
) -> None:
    """The order journal.

    Each order as it was written down before it was sent, what Kraken did about it, and its client order id. Needs no
    network. One that is UNKNOWN is looked up by each tick: never send it again by hand.

    \b
    Examples:
      botctl orders
      botctl orders --unsettled
    """
    from botctl.cli.views.orders import draw_orders
    from botctl.queries import journal

    with open_store(config_from(ctx)):
        show_list(ctx, journal.list_orders(limit=limit, unsettled=unsettled), draw_orders, "no orders yet")


def why(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTC/USD.", autocompletion=complete_symbol)],
    limit: Limit = 5,
    as_json: JsonFlag = False,
) -> None:
    """What the Council decided on SYMBOL, and why.

    Each agent's verdict, and what came of the decision, the newest first. Needs no network.

    \b
    Example:
      botctl why BTC/USD
    """
    from botctl.cli.views.audit_trail import draw_decisions
    from botctl.queries import journal

    wanted = symbol_from(symbol)
    with open_store(config_from(ctx)):
        rows = journal.list_decisions(wanted, limit)
        show_list(ctx, rows, draw_decisions, f"the Council has not spoken of {wanted} yet")


def balance(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """What the exchange holds for us, with its value.

    The whole account, your own coins too, in QUOTE_CURRENCY at last prices. `free` is what no order holds.

    \b
    Example:
      botctl balance
    """
    from botctl.cli.views.balances import draw_balances
    from botctl.domain.equity import value_of
    from botctl.queries.results import BalanceView
    from botctl.wiring import open_bot

    config = config_from(ctx)
    quote_currency = config.settings.quote_currency
    with open_bot(config) as bot:
        snapshot = bot.snapshots.take_snapshot([])
    if snapshot.balances is None:
        raise next(
            (error for error in snapshot.problems if isinstance(error, BotError)), ExchangeUnreachable("no balance")
        )
    rows = [
        BalanceView(
            currency,
            snapshot.balances.total(currency),
            snapshot.balances.spendable(currency),
            value_of(currency, snapshot.balances.total(currency), quote_currency, snapshot.prices),
        )
        for currency in sorted(snapshot.balances.currencies())
    ]
    log_errors(list(snapshot.problems))
    show_list(ctx, rows, draw_balances, "nothing is held")


def register(app: typer.Typer) -> None:
    for name, command in (
        ("status", status),
        ("positions", positions),
        ("trades", trades),
        ("orders", orders),
        ("why", why),
        ("balance", balance),
    ):
        app.command(name)(command)
