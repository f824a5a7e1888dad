"""Looks once, for everybody: one balance call and one price call that a whole visit shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.equity import calculate_equity, valuation_symbols
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.markets import Balances, Quote, Quotes
from botctl.ports import Clock, Exchange
from botctl.store import key_value

FRESH_FOR = timedelta(minutes=2)
"""A price older than this (the machine slept between look and act) is stale and triggers nothing."""
SECOND_SNAPSHOT_AFTER = 3.0
"""Seconds until prices or balances are asked again, before anything is sold or given up because of them."""
HELD_SYMBOLS_KEY = "lookout.held"
"""The symbols that value what was held at the last snapshot, besides those asked for: so a trade that opens or
closes changes nothing here, and stops wait for no note."""


@dataclass(frozen=True)
class Snapshot:
    """What one look saw. `balances` is None when they could not be had: that is not the same as none."""

    quotes: Quotes
    balances: Balances | None
    equity: Decimal | None
    problems: tuple[BotError, ...]
    """Why balances, prices or the equity are missing."""

    @property
    def prices(self) -> dict[str, Decimal]:
        """The last price of each symbol that has one."""
        return self.quotes.prices

    def quote(self, symbol: str, now: datetime) -> Quote:
        """The usable quote of a symbol. Raises ExchangeUnreachable when it is missing, not a price, or stale."""
        quote = self.quotes.good.get(symbol)
        if quote is None:
            raise ExchangeUnreachable(f"{symbol} {self.quotes.bad.get(symbol, 'has no price')}")
        if now - quote.at > FRESH_FOR:
            raise ExchangeUnreachable(f"the price of {symbol} is stale: it is {now - quote.at} old")
        return quote


class SnapshotService:
    """Asks the exchange what we hold and what it is worth."""

    def __init__(self, exchange: Exchange, clock: Clock, quote_currency: str) -> None:
        self.exchange = exchange
        self.clock = clock
        self.quote_currency = quote_currency
        self._held: list[str] = []

    def take_snapshot(self, symbols: Iterable[str]) -> Snapshot:
        """Balances, and prices of `symbols` and of all that is held. Never raises for what can't be had.

        Both calls go out side by side: what is held now is mostly what was held at the last snapshot. Only what is new
        since then takes a second price call.
        """
        symbols = list(dict.fromkeys(symbols))
        asked = list(dict.fromkeys([*symbols, *self._held_before()]))
        if asked:
            self.exchange.prefetch_quotes(asked)
        balances, no_balances = self._balances()
        quotes, no_prices = self._quotes(symbols, asked, balances)
        equity, unvalued = self._equity(balances, quotes)
        problems = tuple(problem for problem in (no_balances, no_prices, unvalued) if problem is not None)
        return Snapshot(quotes, balances, equity, problems)

    def _balances(self) -> tuple[Balances | None, BotError | None]:
        """What is held, or why that can't be had."""
        try:
            return self.exchange.fetch_balances(), None
        except BotError as error:
            return None, error

    def _quotes(
        self, symbols: Sequence[str], asked: Sequence[str], balances: Balances | None
    ) -> tuple[Quotes, BotError | None]:
        """The prices that were asked for and those that value what is held, and why some can't be had."""
        wanted = list(symbols)
        try:
            if balances is None:
                return self._prices(asked), None
            valued = self._valuation_symbols(balances)
            wanted += [symbol for symbol in valued if symbol not in wanted]
            quotes, problem = self._complete(self._prices(asked), [symbol for symbol in wanted if symbol not in asked])
            self._remember([symbol for symbol in valued if symbol not in symbols or symbol in self._held])
            return quotes, problem
        except BotError as error:
            return Quotes({}, _without_price(wanted, error)), error

    def _prices(self, symbols: Sequence[str]) -> Quotes:
        return self.exchange.fetch_quotes(symbols) if symbols else Quotes({}, {})

    def _valuation_symbols(self, balances: Balances) -> list[str]:
        chosen = valuation_symbols(balances.currencies(), self.quote_currency, self.exchange.load_markets())
        return [symbol for symbol in chosen.values() if symbol]

    def _complete(self, quotes: Quotes, missing: Sequence[str]) -> tuple[Quotes, BotError | None]:
        """With the prices that were not asked for. Where those can't be had, the others serve all the same."""
        if not missing:
            return quotes, None
        try:
            more, problem = self.exchange.fetch_quotes(missing), None
        except BotError as error:
            more, problem = Quotes({}, _without_price(missing, error)), error
        return Quotes(quotes.good | more.good, quotes.bad | more.bad), problem

    def _held_before(self) -> list[str]:
        """The symbols that valued what was held at the last snapshot, and that nobody else asked for."""
        kept = key_value.recall(HELD_SYMBOLS_KEY)
        self._held = kept[0].split() if kept else []
        return self._held

    def _remember(self, symbols: list[str]) -> None:
        if symbols != self._held:
            key_value.remember(HELD_SYMBOLS_KEY, " ".join(symbols))

    def _equity(self, balances: Balances | None, quotes: Quotes) -> tuple[Decimal | None, BotError | None]:
        """What all balances are worth; None when any of it can't be valued, and why."""
        if balances is None:
            return None, None
        equity, unvalued = calculate_equity(balances, self.quote_currency, quotes.prices)
        if not unvalued:
            return equity, None
        names = ", ".join(unvalued)
        return equity, BotError(
            f"{names} can't be valued in {self.quote_currency}, so the drawdown is unknown",
            hint="sell or withdraw it, or wait for its price",
        )


def _without_price(symbols: Sequence[str], error: BotError) -> dict[str, str]:
    return dict.fromkeys(symbols, f"has no price ({error.message})")
