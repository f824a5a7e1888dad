"""Looks once, for everybody: one balance call and one price call that a whole visit shares."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.drawdown import calculate_equity, valuation_symbols
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.markets import Balances, Quote, Quotes
from botctl.ports import Clock, Exchange
from botctl.store import memory

FRESH_FOR = timedelta(minutes=2)
"""A price older than this (the machine slept between look and act) is stale and triggers nothing."""
HELD = "lookout.held"
"""The symbols that value what was held at the last look, besides those that it was asked for: so a trade that opens or
closes changes nothing here, and stops wait for no note."""


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
        self._held: list[str] = []

    def look(self, symbols: Iterable[str]) -> Look:
        """Balances, and prices of `symbols` and of all that is held. Never raises for what can't be had.

        Both calls go out side by side: what is held now is mostly what was held at the last look. Only what is new
        since then takes a second price call.
        """
        problems: list[BotError] = []
        symbols = list(dict.fromkeys(symbols))
        asked = list(dict.fromkeys([*symbols, *self._held_before()]))
        wanted = list(symbols)
        if asked:
            self.exchange.prefetch_quotes(asked)
        balances = self._balances(problems)
        quotes = Quotes({}, {})
        try:
            if balances is None:
                quotes = self._prices(asked)
            else:
                valued = self._valuation_symbols(balances)
                wanted += [symbol for symbol in valued if symbol not in wanted]
                quotes = self._complete(
                    self._prices(asked), [symbol for symbol in wanted if symbol not in asked], problems
                )
                self._remember([symbol for symbol in valued if symbol not in symbols or symbol in self._held])
        except BotError as error:
            problems.append(error)
            quotes = Quotes({}, dict.fromkeys(wanted, f"has no price ({error.message})"))
        return Look(quotes, balances, self._equity(balances, quotes, problems), tuple(problems))

    def _prices(self, symbols: list[str]) -> Quotes:
        return self.exchange.fetch_quotes(symbols) if symbols else Quotes({}, {})

    def _valuation_symbols(self, balances: Balances) -> list[str]:
        chosen = valuation_symbols(balances.currencies(), self.quote_currency, self.exchange.load_markets())
        return [symbol for symbol in chosen.values() if symbol]

    def _complete(self, quotes: Quotes, missing: list[str], problems: list[BotError]) -> Quotes:
        """With the prices that were not asked for. Where those can't be had, the others serve all the same."""
        if not missing:
            return quotes
        try:
            more = self.exchange.fetch_quotes(missing)
        except BotError as error:
            problems.append(error)
            more = Quotes({}, dict.fromkeys(missing, f"has no price ({error.message})"))
        return Quotes(quotes.good | more.good, quotes.bad | more.bad)

    def _held_before(self) -> list[str]:
        """The symbols that valued what was held at the last look, and that nobody else asked for."""
        kept = memory.recall(HELD)
        self._held = kept[0].split() if kept else []
        return self._held

    def _remember(self, symbols: list[str]) -> None:
        if symbols != self._held:
            memory.remember(HELD, " ".join(symbols))

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
