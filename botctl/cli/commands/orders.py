"""buy, sell and liquidate: orders by hand."""

from typing import Annotated

import typer

from botctl.cli import after_run
from botctl.cli.completion import complete_symbol
from botctl.cli.context import (
    JsonFlag,
    ValidateFlag,
    YesFlag,
    amount_from,
    config_from,
    confirm,
    exit_with,
    symbol_from,
)
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show
from botctl.cli.views.orders import draw_liquidation, draw_order
from botctl.domain.errors import BotError, Refused, exit_code_of, most_severe
from botctl.domain.orders import ExitReason
from botctl.domain.settings import Mode
from botctl.domain.symbols import base_of
from botctl.trading.results import LiquidationView
from botctl.wiring import open_bot, why_no_buys

Symbol = Annotated[
    str, typer.Argument(metavar="SYMBOL", help="What to trade, such as BTC/USD.", autocompletion=complete_symbol)
]


def buy(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Cost before the fee, in quote currency.")],
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Buy SYMBOL at market for AMOUNT, with an ATR stop.

    AMOUNT is in the quote currency of SYMBOL; the fee is extra. In live mode this spends real money, and asks first.
    From then on every tick guards the trade.

    Exit code 3 when a safety rule refuses (paused, already open, cool-down, no ATR), 4 when Kraken does: nothing was
    bought. 69: the order may have been placed. Don't repeat it; the next tick finds out.

    \b
    Examples:
      botctl buy BTC/USD 100
      botctl buy BTC/USD 100 --validate
    """
    symbol, cost = symbol_from(symbol), amount_from(amount)
    config = config_from(ctx, account=True, validate=validate, warn=False)
    if (why := why_no_buys(config.settings, config.problems, validate_only=validate)) is not None:
        raise why
    if config.settings.botctl_mode is Mode.LIVE and not validate:
        confirm(f"Buy {symbol} for {cost} with real money?", yes=yes)
    with open_bot(config, validate_only=validate) as bot:
        log_errors(bot.settlement.settle_unfinished_orders())
        bought = bot.execution.finish_buys([bot.execution.begin_buy(symbol, cost)])[0]
        if bought.result is None:
            raise most_severe(bought.errors)
        after_run.queue_notifications(config, bot)
    log_errors(bought.errors)
    show(ctx, bought.result, draw_order)
    after_run.deliver_notifications(config)
    exit_with(exit_code_of(bought.errors))


def sell(
    ctx: typer.Context,
    symbol: Symbol,
    amount: Annotated[str | None, typer.Argument(metavar="[AMOUNT]", help="Default: the whole trade.")] = None,
    validate: ValidateFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Sell the open trade of SYMBOL's asset, or AMOUNT of it.

    Sells only what botctl bought, never your other coins. The rest of a partly sold trade stays guarded. In live mode
    this asks first. Works while paused. Exit code 3 without such a trade or while frozen. 69: the order may have been
    placed. Don't repeat it; the next tick finds out.

    \b
    Examples:
      botctl sell BTC/USD
      botctl sell BTC/USD 0.001
    """
    from botctl.queries import journal

    asset = base_of(symbol_from(symbol))
    part = None if amount is None else amount_from(amount)
    config = config_from(ctx, acts=True, account=True, validate=validate)
    if config.settings.botctl_mode is Mode.LIVE and not validate:
        confirm(f"Sell {'the whole trade' if part is None else part} of {asset}?", yes=yes)
    with open_bot(config, validate_only=validate) as bot:
        log_errors(bot.settlement.settle_unfinished_orders())
        trade = bot.journal.active_trade(asset)
        if trade is None:
            raise Refused(f"no open trade of {asset}", hint="see `botctl positions`")
        result = bot.positions.close_position(trade.id, ExitReason.MANUAL, part)
        result = result or journal.closed_without_order(trade.id)
        after_run.queue_notifications(config, bot)
    show(ctx, result, draw_order)
    after_run.deliver_notifications(config)


def liquidate(ctx: typer.Context, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Sell all open trades and disable buys.

    Asks first, in every mode. Works while paused and while frozen. Sells only what botctl bought. If something could
    not be sold, it is listed and the exit code is not 0: run the command again. `botctl resume --enable-buys` allows
    buys again.

    \b
    Examples:
      botctl liquidate
      botctl liquidate --yes
    """
    config = config_from(ctx, acts=True, account=True)
    confirm(f"Sell every open {config.settings.botctl_mode} trade and disable buys?", yes=yes)
    with open_bot(config) as bot:
        errors = bot.settlement.settle_unfinished_orders()
        exits = bot.positions.liquidate_all()
        errors += exits.errors
        left = len(bot.journal.open_symbols())
        after_run.queue_notifications(config, bot)
    if left and not errors:
        errors.append(BotError(f"{left} trades are still open", hint="the next tick continues, or run it again"))
    log_errors(errors)
    notice(*exits.notes)
    show(ctx, LiquidationView(exits.results, left, False, [str(error) for error in errors]), draw_liquidation)
    after_run.deliver_notifications(config)
    exit_with(exit_code_of(errors))
