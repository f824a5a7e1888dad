"""Checks of funds, markets, order minimums and sentiment, for `botctl doctor`."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from botctl.domain.account.equity import calculate_drawdown
from botctl.domain.errors import BadValue, BotError, NoAnswer
from botctl.domain.fees import PairFees, cost_with_fee, round_trip_rate, tier_of
from botctl.domain.health.checks import CheckResult
from botctl.domain.markets import Market, amount_for_cost, below_minimum
from botctl.domain.money import format_decimal
from botctl.domain.symbols import base_of, quote_of
from botctl.domain.text import format_money, format_percent, format_price
from botctl.store.evidence.unrecorded_orders import load_unrecorded
from botctl.store.upkeep.backups import newest_backup
from botctl.trading.bot import Bot
from botctl.trading.evidence.unrecorded_orders import unrecorded_errors
from botctl.trading.resting_stop_checks import lowest_sale
from botctl.trading.sizing import RunSizer

FAR_ABOVE = 2
"""Times INITIAL_BALANCE. An account that is worth more than this can lose most of it before the guard trips."""


def check_fees(bot: Bot) -> Iterator[CheckResult]:
    """What the exchange takes, asked afresh: tier, rates and the cost of a round trip."""
    if not bot.fees.own:
        return
    try:
        fees = bot.fees.ask()
    except NoAnswer:
        raise
    except BotError as error:
        yield _unknown_fees(bot, error.message)
        return
    if not fees:
        yield _unknown_fees(bot, "Kraken tells none")
        return
    by_rate: dict[PairFees, list[str]] = {}
    for symbol, pair in fees.items():
        by_rate.setdefault(pair, []).append(symbol)
    for pair, symbols in by_rate.items():
        yield CheckResult("fees", "ok", f"{', '.join(symbols)}: {_describe_fees(pair, bot.settings.trade_amount_usd)}")


def _describe_fees(pair: PairFees, amount: Decimal) -> str:
    tier, costs = tier_of(pair.taker), round_trip_rate(pair.taker)
    name = "a tier of its own" if tier is None else f"tier {tier}"
    maker = "" if pair.maker is None else f" ({format_percent(pair.maker)} resting)"
    return (
        f"{name}, {format_percent(pair.taker)} at market{maker}: a round trip costs {format_percent(costs)}, "
        f"{format_money(amount * costs)} of an entry of {format_decimal(amount)}"
    )


def _unknown_fees(bot: Bot, why: str) -> CheckResult:
    detail = f"the account's own are unknown ({why}): FEE_RATE, {format_percent(bot.fees.default)}, is used"
    return CheckResult("fees", "warn", detail, "give the key the right Query Funds, or set FEE_RATE")


def check_funds(bot: Bot) -> Iterator[CheckResult]:
    """Whether the account can pay for one entry of TRADE_AMOUNT_USD and its fee."""
    rates: dict[str, Decimal] = {}
    for symbol in bot.settings.symbols:
        rates[quote_of(symbol)] = max(bot.fees.taker(symbol), rates.get(quote_of(symbol), Decimal(0)))
    for quote, rate in sorted(rates.items()):
        try:
            free = bot.execution.get_balance(quote)
        except BotError as error:
            yield CheckResult("funds", "warn", f"can't read the balance: {error.message}", "check the key's rights")
            return
        if bot.sizing.rule.risk:
            yield CheckResult("funds", "ok", f"{format_money(free, quote)} free, which limits a size by risk")
            continue
        needed = cost_with_fee(bot.settings.trade_amount_usd, rate)
        detail = f"{format_money(free, quote)} free, one entry needs {format_money(needed, quote)}"
        fix = "add funds, or lower TRADE_AMOUNT_USD" if free < needed else ""
        yield CheckResult("funds", "warn" if fix else "ok", detail, fix)


def check_initial_balance(bot: Bot) -> Iterator[CheckResult]:
    """Whether INITIAL_BALANCE and the account are of one size: the drawdown is measured from it."""
    initial, limit = bot.settings.initial_balance, bot.settings.max_drawdown
    equity = bot.snapshots.take_snapshot(bot.journal.open_symbols()).equity
    if initial is None or equity is None or bot.switch.read().tripped_at is not None:
        return
    down, fix = calculate_drawdown(equity, initial), "set INITIAL_BALANCE to what the account is worth"
    worth = format_money(equity, bot.settings.quote_currency)
    figures = f"INITIAL_BALANCE is {format_decimal(initial)}, and the account is worth {worth}"
    if down > limit:
        detail = f"{figures}: {format_percent(down)} less, which is beyond MAX_DRAWDOWN ({format_percent(limit)})"
        yield CheckResult("initial balance", "fail", detail, fix)
    elif equity > FAR_ABOVE * initial:
        left = 1 - initial * (1 - limit) / equity
        detail = f"{figures}: the drawdown guard trips only after a loss of {format_percent(left)}"
        yield CheckResult("initial balance", "warn", detail, fix)
    else:
        yield CheckResult("initial balance", "ok", figures)


def check_journal(bot: Bot, database: Path) -> Iterator[CheckResult]:
    """Whether the exchange has orders of botctl that the journal of this `database` lacks."""
    if not bot.unrecorded.enabled:
        return
    try:
        found = {each.client_order_id: each for each in [*load_unrecorded(), *bot.unrecorded.find()]}
    except BotError as error:
        detail = f"can't compare it with the exchange: {error.message}"
        yield CheckResult("journal", "warn", detail, error.hint or "try again later")
        return
    if errors := unrecorded_errors(list(found.values())):
        backup = newest_backup(database)
        fix = "run `botctl recover`" + (f"; the newest backup is {backup}" if backup else "; there is no backup")
        yield CheckResult("journal", "fail", "; ".join(error.message for error in errors), fix)
    else:
        yield CheckResult("journal", "ok", "it has the newest orders at the exchange")


def check_symbols(bot: Bot) -> Iterator[CheckResult]:
    """Whether each symbol can be traded, and an entry sold again at its stop."""
    quotes = bot.exchange.fetch_quotes([symbol for symbol in bot.settings.symbols if _find_market(bot, symbol)])
    sizer = bot.sizing.for_run(bot.drawdown.check_drawdown(act=False) if bot.sizing.rule.goes_by_equity else None)
    assets = {base_of(symbol) for symbol in bot.settings.symbols}
    if unknown := [asset for asset, _ in bot.sizing.rule.allocation.shares if asset not in assets]:
        detail = f"ALLOCATION names {', '.join(unknown)}, which is not an asset of SYMBOLS"
        yield CheckResult("symbols", "warn", detail, "correct it: an asset without a name has no limit of its own")
    for symbol in bot.settings.symbols:
        market, quote = _find_market(bot, symbol), quotes.good.get(symbol)
        if market is None:
            yield CheckResult("symbols", "fail", f"{symbol}: unknown market", "correct SYMBOLS")
        elif not market.tradable:
            detail = f"{symbol} is in {market.status} mode"
            yield CheckResult("symbols", "fail", detail, "wait, or remove it from SYMBOLS")
        elif quote is None or quote.ask is None:
            yield CheckResult("symbols", "fail", f"{symbol} {quotes.bad.get(symbol, 'has no ask')}", "try again later")
        else:
            yield _check_minimum(bot, market, quote.ask, sizer)


def check_open_markets(bot: Bot) -> Iterator[CheckResult]:
    """Whether the open trades can be sold where they were bought."""
    unlisted = [trade for trade in bot.journal.open_trades() if not bot.positions.markets.is_listed(trade.symbol)]
    if not unlisted:
        return
    snapshot = bot.snapshots.take_snapshot([])
    for error in bot.positions.find_gone_markets(snapshot):
        yield CheckResult("positions", "fail", error.message, error.hint)


def _find_market(bot: Bot, symbol: str) -> Market | None:
    try:
        return bot.exchange.find_market(symbol)
    except BadValue:
        return None


def _check_minimum(bot: Bot, market: Market, ask: Decimal, sizer: RunSizer) -> CheckResult:
    try:
        stop = Decimal(repr(bot.risk.calculate_stop_loss(ask, bot.risk.fetch_candles(market.symbol))))
        cost = sizer.budget(market, ask, float(ask - stop))
    except BotError as error:
        fix = error.hint or "without an ATR there is no entry"
        return CheckResult("minimums", "fail", f"{market.symbol}: {error.message}", fix)
    lowest = lowest_sale(bot, stop, float(ask - stop) / bot.risk.rule.atr_multiple)
    if problem := below_minimum(amount_for_cost(cost, ask, market), lowest, market):
        fix = "raise TRADE_AMOUNT_USD" if bot.sizing.rule.is_plain else "see SIZING and the limits of an entry"
        where = "stop" if lowest == stop else "resting stop"
        return CheckResult("minimums", "fail", f"{market.symbol}: at its {where} {problem}", fix)
    enough = f"{format_money(cost, market.quote)} is enough"
    detail = f"{market.symbol}: {enough}, also at its stop of {format_price(stop, market.price_decimals)}"
    return CheckResult("minimums", "ok", detail)


def check_sentiment(bot: Bot) -> CheckResult:
    reading = bot.sentiment.read()
    if reading.index is None:
        return CheckResult("sentiment", "warn", reading.why, "without it the Council holds; check SENTIMENT_URL")
    return CheckResult("sentiment", "ok", f"Fear & Greed {reading.index} ({reading.why})")
