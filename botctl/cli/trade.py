"""Orders by hand: buy, sell, liquidate."""

from typing import Annotated

import typer

from botctl.cli import aftermath
from botctl.cli.context import (
    JsonFlag,
    ValidateFlag,
    YesFlag,
    amount_from,
    check_validate,
    code_of,
    confirm,
    exit_with,
    home_of,
    log_errors,
    say,
    symbol_from,
)
from botctl.cli.render import show
from botctl.domain.candles import base_of
from botctl.domain.errors import BotError, Refused
from botctl.domain.orders import ExitReason
from botctl.domain.results import LiquidationView
from botctl.domain.settings import Mode
from botctl.wiring import open_bot

Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="What to trade, such as BTC/USD.")]


def buy(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="How much of the quote currency to spend, before fee.")
    ],
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Buy SYMBOL at market for AMOUNT, with an ATR stop.

    AMOUNT is in the quote currency of SYMBOL; the fee comes on top.

    \b
    Example:
      botctl buy BTC/USD 100
    """
    wanted, cost = symbol_from(symbol), amount_from(amount)
    home = home_of(ctx)
    check_validate(home, validate)
    if home.settings.botctl_mode is Mode.LIVE and not validate:
        confirm(f"Buy {wanted} for {cost} with real money?", yes=yes)
    with open_bot(home, validate_only=validate) as bot:
        log_errors(bot.recovery.settle_unfinished_orders())
        result = bot.execution.execute_buy(wanted, cost)
        aftermath.note_news(home, bot)
    show(ctx, result)
    aftermath.send_news(home)


def sell(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="How much of the asset; default: the whole trade.")
    ] = None,
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Sell the open trade of SYMBOL's asset, or AMOUNT of it.

    \b
    Examples:
      botctl sell BTC/USD
      botctl sell BTC/USD 0.001
    """
    from botctl.services import books

    wanted = symbol_from(symbol)
    part = None if amount is None else amount_from(amount)
    home = home_of(ctx)
    check_validate(home, validate)
    if home.settings.botctl_mode is Mode.LIVE and not validate:
        confirm(f"Sell {'the whole trade' if part is None else part} of {base_of(wanted)}?", yes=yes)
    with open_bot(home, validate_only=validate) as bot:
        log_errors(bot.recovery.settle_unfinished_orders())
        if bot.switch.read().frozen:
            raise Refused("botctl is frozen: no order but liquidate's is sent", hint="`botctl resume` thaws it")
        trade = bot.journal.active_trade(base_of(wanted))
        if trade is None:
            raise Refused(f"there is no open trade of {base_of(wanted)}", hint="see `botctl positions`")
        result = bot.positions.close_position(trade.id, ExitReason.MANUAL, part)
        result = result or books.closed_without_order(trade.id)
        aftermath.note_news(home, bot)
    show(ctx, result)
    aftermath.send_news(home)


def liquidate(ctx: typer.Context, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """The eject button: sell all trades, and disable buys.

    Works while paused and while frozen. `botctl resume --enable-buys` allows buys again.

    \b
    Example:
      botctl liquidate --yes
    """
    home = home_of(ctx)
    confirm(f"Sell every open {home.settings.botctl_mode} trade and disable buys?", yes=yes)
    with open_bot(home) as bot:
        errors = bot.recovery.settle_unfinished_orders()
        exits = bot.drawdown.liquidate_all(ExitReason.LIQUIDATION)
        errors += exits.errors
        left = len(bot.journal.open_trades())
        aftermath.note_news(home, bot)
    if left and not errors:
        errors.append(BotError(f"{left} trades are still open", hint="the next tick goes on, or run it again"))
    log_errors(errors)
    for note in exits.notes:
        say(note)
    show(ctx, LiquidationView(exits.results, left, False, [str(error) for error in errors]))
    aftermath.send_news(home)
    exit_with(code_of(errors))


def register(app: typer.Typer) -> None:
    app.command("buy")(buy)
    app.command("sell")(sell)
    app.command("liquidate")(liquidate)
