"""buy, sell, liquidate, forget and resting-stops: trades by hand."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Annotated

import typer

from botctl.cli import after_run
from botctl.cli.context import (
    MAX_ID,
    JsonFlag,
    ValidateFlag,
    YesFlag,
    amount_from,
    check_terminal,
    config_from,
    confirm,
    exit_with,
    money_from,
    symbol_from,
)
from botctl.cli.help.completion import complete_symbol, complete_trade
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show, show_list
from botctl.cli.stuck_runs import open_bot_by_force
from botctl.cli.tickets import (
    DryRunFlag,
    check_dry_run,
    check_same_trade,
    confirm_buy,
    plan_buy,
    plan_sale,
    show_before_liquidation,
    show_before_sale,
    show_ticket,
)
from botctl.cli.views.orders import draw_liquidation, draw_order, draw_resting_stops
from botctl.cli.views.trades import draw_all_trades
from botctl.config import Config, open_store
from botctl.domain.configuration.parsers import parse_share
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BadValue, BotError, NoAnswer, Refused, exit_code_of, most_severe
from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import base_of
from botctl.domain.text import counted, format_percent
from botctl.queries.resting_stops import list_resting_stops
from botctl.store.corrections import forget_trade, load_forgettable
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.trading.bot import Bot
from botctl.trading.entries import Spend
from botctl.trading.outages import saying, tell_outage, without_outages
from botctl.trading.results import LiquidationView
from botctl.trading.tick import liquidate as liquidate_trades
from botctl.wiring import open_bot, why_no_buys

Symbol = Annotated[
    str, typer.Argument(metavar="SYMBOL", help="What to trade, such as BTC/USD.", autocompletion=complete_symbol)
]
Risk = Annotated[
    str | None,
    typer.Option(
        metavar="FRACTION",
        show_default="AMOUNT decides",
        help="Instead of AMOUNT: the part of the equity that the stop may lose, such as 0.5%.",
    ),
]

NO_RESTING_STOP = "no stop rests at Kraken"


def buy(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="The cost, without the fee, in quote currency.")
    ] = None,
    risk: Risk = None,
    dry_run: DryRunFlag = False,
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Buy SYMBOL for AMOUNT at the market price, with a stop.

    AMOUNT is in the quote currency of SYMBOL; the fee is extra. An AMOUNT above the limits of your settings is bought
    all the same, with a note. With --risk the size follows from the stop instead, fees and slippage included, within
    those limits and the free cash. In live mode this spends real money: it shows a ticket, and asks. From then on every
    tick guards the trade.

    Exit code 3 when a safety rule refuses (paused, already open, cool-down, no ATR), 4 when Kraken does: nothing was
    bought. 69: the order may have been placed. Don't repeat it; the next tick finds out.

    \b
    Examples:
      botctl buy BTC/USD 100
      botctl buy BTC/USD 100 --dry-run
      botctl buy BTC/USD 100 --validate
      botctl buy BTC/USD --risk 0.5%
    """
    symbol, size, by_risk = symbol_from(ctx, symbol, to_buy=True), *_size_from(amount, risk)
    check_dry_run(dry_run=dry_run, validate=validate)
    config = config_from(ctx, account=True, validate=validate, warn=False)
    if (why := why_no_buys(config.settings, config.problems, validate_only=validate or dry_run)) is not None:
        raise why
    asks = config.settings.botctl_mode is Mode.LIVE and not (validate or dry_run or yes)
    if asks or dry_run:
        _show_buy(ctx, config, symbol, size, by_risk=by_risk, asks=asks)
    if dry_run:
        return
    with open_bot(config, validate_only=validate) as bot, saying("nothing was bought; run it again later"):
        log_errors(without_outages(bot.settlement.settle_unfinished_orders() + bot.unrecorded.check()))
        if not validate:
            bot.execution.pre_trade_checks.check(symbol, bot.clock.now())
            bot.drawdown.check_before_buy()
        spend = _spend_by_risk(bot, size) if by_risk else size
        notice(*(() if by_risk or asks else bot.sizing.remarks_on(symbol, size)))  # before a question they were said
        bought = bot.execution.finish_buys([bot.execution.execute_buy(symbol, spend)])[0]
        if bought.result is None:
            raise most_severe(bought.errors)
        after_run.queue_notifications(config, bot)
        draw = partial(draw_order, decimals=load_price_decimals())
    log_errors(bought.errors)
    show(ctx, replace(bought.result, errors=[str(error) for error in bought.errors]), draw)
    after_run.publish(config)
    exit_with(exit_code_of(bought.errors))


def _show_buy(ctx: typer.Context, config: Config, symbol: str, size: Decimal, *, by_risk: bool, asks: bool) -> None:
    """Show the ticket of a buy and, where it `asks`, go on with a yes only."""
    if asks:
        check_terminal()
    ticket = plan_buy(config, symbol, lambda bot: _spend_by_risk(bot, size) if by_risk else size, dry_run=not asks)
    if not asks:
        show_ticket(ctx, ticket)
        return
    wanted = f"at a risk of {format_percent(size)} of the equity" if by_risk else f"for {size}"
    confirm_buy(ticket, f"Buy {symbol} {wanted} with real money?")


def _size_from(amount: str | None, risk: str | None) -> tuple[Decimal, bool]:
    """AMOUNT or --risk, of which one must be given, and whether it is --risk. Raises BadValue."""
    if (amount is None) == (risk is None):
        problem = "AMOUNT is missing" if amount is None else "AMOUNT and --risk can't be used together"
        raise BadValue(problem, hint="give AMOUNT, such as 100, or --risk 0.5% (see --help)")
    if amount is not None:
        return money_from(amount), False
    try:
        return parse_share(str(risk).strip()), True
    except ValueError as error:
        raise BadValue(f"--risk {risk!r:.60} {error}", hint="give a fraction of the equity, such as 0.5%") from None


def _spend_by_risk(bot: Bot, risk: Decimal) -> Spend:
    """What sizes a buy by its risk. Raises BadValue, and what a look at the account finds."""
    if risk >= (limit := bot.settings.max_drawdown):
        problem = f"--risk {format_percent(risk)} must be below MAX_DRAWDOWN, {format_percent(limit)}"
        raise BadValue(problem, hint="one stop would trip the drawdown guard")
    return bot.sizing.for_run(bot.drawdown.look_before_buy(), risk)


def sell(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="How much of the asset to sell; default: all of the trade.")
    ] = None,
    dry_run: DryRunFlag = False,
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Sell the open trade of SYMBOL, or AMOUNT of it.

    Sells only what botctl bought, never your other coins. The rest of a partly sold trade stays guarded. In live mode
    this shows a ticket and asks first. Works while paused. Exit code 3 without such a trade or while frozen. 69: the
    order may have been placed. Don't repeat it; the next tick finds out.

    \b
    Examples:
      botctl sell BTC/USD
      botctl sell BTC/USD 0.001
    """
    from botctl.queries import journal

    asset = base_of(symbol_from(ctx, symbol))
    part = None if amount is None else amount_from(amount)
    check_dry_run(dry_run=dry_run, validate=validate)
    config = config_from(ctx, acts=True, account=True, validate=validate)
    if dry_run:
        show_ticket(ctx, plan_sale(config, asset, part))
        return
    asks = config.settings.botctl_mode is Mode.LIVE and not (validate or yes)
    if asks:
        check_terminal()
        asked_about = show_before_sale(config, asset, part)
        confirm(f"Sell {'the whole trade' if part is None else part} of {asset}?", yes=yes)
    hint = "nothing was sold; run it again. Each tick goes on checking the stop"
    with open_bot(config, validate_only=validate) as bot, saying(hint):
        log_errors(without_outages(bot.unrecorded.check()))
        trade = bot.journal.active_trade(asset)
        waits = trade is None or trade.id in bot.journal.unsettled_trade_ids()
        if waits:  # orders of other trades are looked up after the sell
            log_errors(without_outages(bot.settlement.settle_unfinished_orders()))
            trade = bot.journal.active_trade(asset)
        if trade is None:
            raise Refused(f"no open trade of {asset}", hint="see `botctl positions`")
        if asks:
            check_same_trade(asked_about, trade)
        sale = bot.positions.close_position(trade.id, ExitReason.MANUAL, part)
        result = sale.result or journal.closed_without_order(trade.id)
        if not waits:
            log_errors(bot.settlement.settle_unfinished_orders(earlier=True))
        outranked = bot.execution.outranked.report()
        after_run.queue_notifications(config, bot)
        draw = partial(draw_order, decimals=load_price_decimals())
    notice(*outranked)
    log_errors(sale.errors)
    show(ctx, result, draw)
    after_run.publish(config)
    exit_with(exit_code_of(sale.errors))


def liquidate(
    ctx: typer.Context,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="End the run that holds the lock instead of waiting for it.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Sell all open trades and disable buys.

    Lists them and asks first, in every mode. Works while paused and while frozen. Sells only what botctl bought. If
    something could not be sold, it is listed and the exit code is not 0: run the command again. `botctl resume
    --enable-buys` allows buys again.

    Waits for another run, such as a tick, up to 30 seconds. With --take-over that run is ended at once: orders it
    leaves behind are settled here.

    \b
    Examples:
      botctl liquidate
      botctl liquidate --take-over --yes
    """
    config = config_from(ctx, acts=True, account=True)
    if not yes:
        check_terminal()
        show_before_liquidation(config)
    confirm(f"Sell every open {config.settings.botctl_mode} trade and disable buys?", yes=yes)
    with open_bot_by_force(config) if take_over else open_bot(config) as bot:
        began = bot.clock.now()
        exits = liquidate_trades(bot)
        errors = [_not_liquidated(error) for error in tell_outage(bot, exits.errors, began, selling=True)]
        left = len(bot.journal.open_symbols())
        after_run.queue_notifications(config, bot)
        draw = partial(draw_liquidation, decimals=load_price_decimals())
    if left and not errors:
        errors.append(
            BotError(
                f"{counted(left, 'trade is', 'trades are')} still open", hint="the next tick continues, or run it again"
            )
        )
    log_errors(errors)
    notice(*exits.notes)
    show(ctx, LiquidationView(exits.results, left, False, [str(error) for error in errors]), draw)
    after_run.publish(config)
    exit_with(exit_code_of(errors))


def _not_liquidated(error: BotError) -> BotError:
    """No tick sells what a liquidation left: it checks the stops."""
    if isinstance(error, NoAnswer):
        error.hint = "run `botctl liquidate` again; each tick goes on checking the stops"
    return error


def forget(
    ctx: typer.Context,
    trade: Annotated[
        int,
        typer.Argument(
            metavar="TRADE",
            max=MAX_ID,
            min=1,
            help="The id of the trade, as in `botctl positions`.",
            autocompletion=complete_trade,
        ),
    ],
    price: Annotated[
        str | None,
        typer.Option(
            metavar="PRICE",
            show_default="the P&L stays unknown",
            help="What you sold one unit of the asset for, in quote currency.",
        ),
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Mark an open trade as closed, without an order.

    For a trade that botctl can't close itself: its market was renamed or delisted, or you have moved the coins away.
    Sells nothing, and needs no network unless a stop of the trade rests at Kraken, which is canceled: from then on you
    look after the coins yourself, without a stop. The exit's reason is EXTERNAL; --price makes the profit known. Asks
    first, in every mode.

    Exit code 3 for a trade that is not open. 69 while the outcome of one of its orders is unknown: run
    `botctl check-positions` first.

    \b
    Examples:
      botctl forget 7
      botctl forget 7 --price 0.42
    """
    from botctl.queries import portfolio

    sold_at = None if price is None else amount_from(price, "--price")
    config = config_from(ctx, acts=True)
    with open_store(config):  # without the lock: no tick waits for an answer
        row = load_forgettable(trade)
        held = f"{format_decimal(row.amount)} {row.asset}"
    confirm(f"Close trade {trade} ({row.symbol}) without selling its {held}? They lose their stop.", yes=yes)
    with open_bot(config) as bot:
        if errors := bot.resting.cancel_all([trade]):  # it would sell coins that are the owner's alone from now on
            raise most_severe(errors)
        forget_trade(trade, sold_at, bot.clock.now())
        after_run.queue_notifications(config, bot)
        record, decimals = portfolio.find_trade(trade), load_price_decimals()
    notice(f"trade {trade} is closed: its {held}, if you still have them, are no longer guarded")
    show(ctx, record, lambda closed: draw_all_trades([closed], decimals))
    after_run.publish(config)


def resting_stops(
    ctx: typer.Context,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel all of them at Kraken.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """List the stop orders that rest at Kraken, or cancel them.

    With EXCHANGE_STOP=on each open trade has one, below the stop that ticks check: it sells while this machine is off.
    Listing needs no network. --cancel asks first; while EXCHANGE_STOP is on, the next tick places new ones. Your own
    orders at Kraken are never touched.

    \b
    Examples:
      botctl resting-stops
      botctl resting-stops --cancel
    """
    if not cancel:
        with open_store(config_from(ctx, looks=True)):
            draw = partial(draw_resting_stops, decimals=load_price_decimals())
            show_list(ctx, list_resting_stops(), draw, NO_RESTING_STOP)
        return
    config = config_from(ctx, acts=True, account=True)
    with open_store(config):
        resting = counted(len(list_resting_stops()), "stop that rests", "stops that rest")
    confirm(f"Cancel {resting} at Kraken? Open positions are then guarded by ticks alone.", yes=yes)
    with open_bot(config) as bot:
        errors = bot.resting.cancel_all()
        left = list_resting_stops()
        draw = partial(draw_resting_stops, decimals=load_price_decimals())
    log_errors(errors)
    if config.settings.exchange_stop:
        notice("the next tick places new ones: set EXCHANGE_STOP=off if there are to be none")
    show_list(ctx, left, draw, NO_RESTING_STOP)
    exit_with(exit_code_of(errors))
