"""Checks of the stops that rest at the exchange, for `botctl doctor`."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from botctl.domain.errors import BotError
from botctl.domain.health.checks import CheckResult
from botctl.domain.markets import below_minimum, market_of
from botctl.domain.money import floor_to
from botctl.domain.stops import resting_trigger, trigger_in_ticks
from botctl.domain.text import counted
from botctl.store.resting_stops import find_unprotected, load_resting_stops
from botctl.store.rows import TradeRow
from botctl.trading.bot import Bot

NAME = "resting stops"
SLOTS = 60
"""Open orders that Kraken allows in one market in the lowest tier; the higher ones allow 80 and 225."""
FEW = 5


def check_resting_stops(bot: Bot) -> Iterator[CheckResult]:
    """Whether each open trade has its resting stop, can have one, and the exchange has room for more."""
    resting = load_resting_stops()
    if bot.resting.distance is None:
        if resting:
            detail = f"{len(resting)} rest at Kraken with EXCHANGE_STOP=off, and no longer move"
            yield CheckResult(NAME, "warn", detail, "`botctl resting-stops --cancel` cancels them")
        return
    trades = bot.journal.open_trades()
    lacks = find_unprotected(bot.resting.distance)
    for trade in trades:
        if trade.id in lacks:
            yield _describe_lack(trade, lacks[trade.id], _why_none(bot, trade))
    if not lacks:
        yield CheckResult(
            NAME, "ok", f"{counted(len(resting), 'rests', 'rest')} at Kraken, for {counted(len(trades), 'open trade')}"
        )
    yield from _check_slots(bot)


def _describe_lack(trade: TradeRow, lack: str, why: str | None) -> CheckResult:
    name = f"{trade.symbol} (trade {trade.id})"
    detail = f"{name} has none" if lack == "none" else f"that of {name} is {lack}"
    fix = "the next tick tries again; see `botctl log`"
    if why is None:
        return CheckResult(NAME, "fail", detail, fix)
    return CheckResult(
        NAME, "fail", f"{detail}: {why}", "ticks alone guard it: sell it, or let the next ticks check it"
    )


def _why_none(bot: Bot, trade: TradeRow) -> str | None:
    """Why no stop of this trade can rest, by the market's figures."""
    if trade.stop_loss_price is None or trade.atr is None or bot.resting.distance is None:
        return "the trade has no stop"
    try:
        market = market_of(bot.exchange.load_markets(), trade.symbol)
    except BotError as error:
        return error.message
    wanted = resting_trigger(trade.stop_loss_price, trade.atr, bot.resting.distance)
    trigger = trigger_in_ticks(wanted, market.price_tick)
    if trigger is None:
        return "its trigger would be zero or less: lower EXCHANGE_STOP_ATR"
    return below_minimum(floor_to(trade.amount, market.lot_decimals), trigger, market)


def _check_slots(bot: Bot) -> Iterator[CheckResult]:
    """How many open orders there may be in one market depends on the account's tier, which nobody tells."""
    listed = Counter(record.symbol for record in bot.exchange.list_open_orders())
    symbols = {*bot.settings.symbols, *bot.journal.open_symbols()}
    for symbol in sorted(symbols):
        if listed[symbol] > SLOTS - FEW:
            detail = f"{listed[symbol]} orders are open in {symbol}: Kraken allows {SLOTS} in the lowest tier"
            yield CheckResult(
                "order slots", "warn", detail, "cancel open orders of your own, or a stop may find no room"
            )


def lowest_sale(bot: Bot, stop: Decimal, atr: float) -> Decimal:
    """The price at which an entry must be large enough to be sold: that of its stop, or of the resting one below it."""
    distance = bot.resting.distance
    return stop if distance is None else stop - Decimal(repr(distance * atr))
