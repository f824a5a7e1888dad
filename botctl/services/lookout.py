"""Looks once, for everybody: one balance call and one price call that a whole visit shares."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.drawdown import calculate_equity, valuation_symbols
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.markets import Balances, Quote, Quotes
from botctl.ports import Clock, Exchange

FRESH_FOR = timedelta(minutes=2)
"""A price older than this (the machine slept between look and act) is stale and triggers nothing."""


@dataclass(frozen=True)
class Look:
    """What one look saw. `balances` is None when they could not be had: that is not the same as none."""

    quotes: Quotes
    balances: Balances | None
    equity: Decimal | None
    problems: tuple[BotError, ...]
    """Why balances, prices or the equity are missing."""

    def quote(self, symbol: str, now: datetime) -> Quote:
        """The usable quote of a symbol. Raises ExchangeUnreachable when it is missing, not a price, or stale."""
        quote = self.quotes.good.get(symbol)
        if quote is None:
            raise ExchangeUnreachable(f"{symbol} {self.quotes.bad.get(symbol, 'has no price')}")
        if now - quote.at > FRESH_FOR:
            raise ExchangeUnreachable(f"the price of {symbol} is stale: it is {now - quote.at} old")
        return quote


class Lookout:
    """Asks the exchange what we hold and what it is worth."""

    def __init__(self, exchange: Exchange, clock: Clock, quote_currency: str) -> None:
        self.exchange = exchange
        self.clock = clock
        self.quote_currency = quote_currency

    def look(self, symbols: Iterable[str]) -> Look:
        """Balances, then prices of `symbols` and of all that is held. Never raises for what can't be had."""
        problems: list[BotError] = []
        balances = self._balances(problems)
        wanted = list(dict.fromkeys(symbols))
        quotes = Quotes({}, {})
        try:
            held = () if balances is None else balances.currencies()
            chosen = valuation_symbols(held, self.quote_currency, self.exchange.load_markets())
            wanted += [symbol for symbol in chosen.values() if symbol and symbol not in wanted]
            quotes = self.exchange.fetch_quotes(wanted) if wanted else quotes
        except BotError as error:
            problems.append(error)
            quotes = Quotes({}, dict.fromkeys(wanted, f"has no price ({error.message})"))
        return Look(quotes, balances, self._equity(balances, quotes, problems), tuple(problems))

    def _balances(self, problems: list[BotError]) -> Balances | None:
        try:
            return self.exchange.fetch_balances()
        except BotError as error:
            problems.append(error)
            return None

    def _equity(self, balances: Balances | None, quotes: Quotes, problems: list[BotError]) -> Decimal | None:
        """What all balances are worth; None when any of it can't be valued."""
        if balances is None:
            return None
        prices = {symbol: quote.last for symbol, quote in quotes.good.items()}
        equity, unvalued = calculate_equity(balances, self.quote_currency, prices)
        if unvalued:
            names = ", ".join(unvalued)
            problems.append(
                BotError(
                    f"{names} can't be valued in {self.quote_currency}, so the drawdown is unknown",
                    hint="sell or withdraw it, or wait for its price",
                )
            )
        return equity
