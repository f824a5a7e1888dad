"""Snapshots: balances and prices of one moment, fetched once and shared by a whole run."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.account.equity import calculate_equity, valuation_symbols, value_of
from botctl.domain.account.holdings import Missing, add_missing, find_missing
from botctl.domain.errors import BotError, ExchangeUnreachable, NoAnswer
from botctl.domain.freshness import is_fresh
from botctl.domain.markets import Balances, Quote, Quotes
from botctl.domain.money import total
from botctl.domain.symbols import quote_of
from botctl.ports import Clock, Exchange
from botctl.store import key_value
from botctl.store.evidence.gone_markets import highest_prices
from botctl.store.evidence.known_account import load_fills_since, load_known_account
from botctl.store.evidence.last_prices import save_last_prices
from botctl.store.evidence.unrecorded_orders import load_exit_block
from botctl.store.journal import Journal

log = logging.getLogger(__name__)

MAX_PRICE_AGE = timedelta(minutes=2)
"""An older price (the machine slept meanwhile) is stale and triggers nothing."""
SECOND_SNAPSHOT_AFTER = 3.0
"""Seconds until prices or balances are fetched again, before anything is liquidated or written off because of them."""
HELD_SYMBOLS_KEY = "lookout.held"
"""The key of the symbols that value the balances, without those the caller asked for: a trade that opens or closes
does not change them, so that stops wait for no write."""


@dataclass(frozen=True)
class Snapshot:
    """Prices and balances of one moment. `balances` is None when they are unavailable."""

    quotes: Quotes
    balances: Balances | None
    equity: Decimal | None
    problems: tuple[BotError, ...]
    """Why balances, prices or the equity are missing."""
    at: datetime
    """This machine's time before the balances were fetched."""
    expected: Mapping[str, Decimal] = field(default_factory=dict)
    """What open trades held at that moment, by asset; without those whose orders the journal may lack."""
    missing: tuple[Missing, ...] = ()
    """The assets whose balance is smaller than that. The equity counts what is expected."""
    unlisted: frozenset[str] = frozenset()
    """The symbols of open trades that the exchange's list of markets lacks."""
    unreadable: frozenset[str] = frozenset()
    """The assets of open trades whose rows can't be read: what they should hold is not known."""
    unvalued: Mapping[str, Decimal] = field(default_factory=dict)
    """The assets that nobody can price now, and their last known value, which the equity counts."""

    @property
    def prices(self) -> dict[str, Decimal]:
        return self.quotes.prices

    @property
    def unreachable(self) -> bool:
        """Whether the exchange has answered neither for prices nor for balances."""
        no_answer = any(isinstance(problem, NoAnswer) for problem in self.problems)
        return no_answer and self.balances is None and not self.quotes.good

    def quote(self, symbol: str, now: datetime) -> Quote:
        """The usable quote of a symbol. Raises ExchangeUnreachable when it is missing, not a price, or stale."""
        quote = self.quotes.good.get(symbol)
        if quote is None:
            for problem in self.problems:
                if isinstance(problem, NoAnswer) and self.quotes.bad.get(symbol) == _no_price(problem):
                    raise problem
            raise ExchangeUnreachable(f"{symbol} {self.quotes.bad.get(symbol, 'has no price')}")
        if not is_fresh(quote.at, now, MAX_PRICE_AGE):  # this machine has slept, or its clock was set
            raise ExchangeUnreachable(f"the price of {symbol} is stale: it is of {quote.at:%Y-%m-%d %H:%M:%S} UTC")
        return quote


@dataclass
class SnapshotService:
    exchange: Exchange
    journal: Journal
    clock: Clock
    quote_currency: str
    _held: list[str] = field(default_factory=list, init=False)

    def take_snapshot(self, symbols: Iterable[str]) -> Snapshot:
        """Balances, and prices of `symbols` and of all that is held. What is unavailable becomes a problem.

        Balances and prices are fetched side by side: most holdings are those of the last snapshot. Only new ones take
        a second price request.
        """
        symbols = list(dict.fromkeys(symbols))
        requested = list(dict.fromkeys([*symbols, *self._load_held(), *self._known_symbols()]))
        if requested:
            self.exchange.prefetch_quotes(requested)
        at, block = self.clock.now(), load_exit_block()
        held = self.journal.expected_holdings()
        expected = {asset: amount for asset, amount in held.items() if not block.covers(asset)}
        balances, no_balances = self._balances()
        missing = () if balances is None else find_missing(expected, balances)
        valued = balances if balances is None else add_missing(balances, missing)
        quotes, no_prices = self._quotes(symbols, requested, valued)
        equity, unvalued, no_value = self._equity(valued, quotes, no_prices)
        if isinstance(no_prices, NoAnswer):  # that is why
            no_value = None
        problems = tuple(problem for problem in (no_balances, no_prices, no_value) if problem is not None)
        unlisted = self._unlisted()
        unreadable = self.journal.broken_assets()
        return Snapshot(quotes, balances, equity, problems, at, expected, missing, unlisted, unreadable, unvalued)

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """The prices of these symbols alone, now. Raises BotError."""
        return self.exchange.fetch_quotes(symbols)

    def fetch_second_quotes(self, symbols: Sequence[str]) -> Snapshot:
        """The prices of these symbols alone, some seconds later. Raises BotError."""
        self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        return Snapshot(self.exchange.fetch_quotes(symbols), None, None, (), self.clock.now())

    def _balances(self) -> tuple[Balances | None, BotError | None]:
        try:
            return self.exchange.fetch_balances(), None
        except BotError as error:
            return None, error

    def _quotes(
        self, symbols: Sequence[str], requested: Sequence[str], balances: Balances | None
    ) -> tuple[Quotes, BotError | None]:
        """The requested prices and those that value the balances, and why some are unavailable."""
        wanted = dict.fromkeys(symbols)
        try:
            quotes = self.exchange.fetch_quotes(requested) if requested else Quotes({}, {})
            if balances is None:
                return quotes, None
            valued = self._valuation_symbols(balances)
            wanted |= dict.fromkeys(valued)
            known, asked, held = set(requested), set(symbols), set(self._held)
            quotes, problem = self._add_missing(quotes, [symbol for symbol in wanted if symbol not in known])
            self._save_held([symbol for symbol in valued if symbol not in asked or symbol in held])
            return quotes, problem
        except BotError as error:
            return Quotes({}, _without_price(list(wanted), error)), error

    def _valuation_symbols(self, balances: Balances) -> list[str]:
        chosen = valuation_symbols(balances.currencies(), self.quote_currency, self.exchange.load_markets())
        return list(dict.fromkeys(symbol for path in chosen.values() for symbol in path))

    def _add_missing(self, quotes: Quotes, missing: Sequence[str]) -> tuple[Quotes, BotError | None]:
        """Fetch the prices that were not requested. If they are unavailable the others are used all the same."""
        if not missing:
            return quotes, None
        try:
            more, problem = self.exchange.fetch_quotes(missing), None
        except BotError as error:
            more, problem = Quotes({}, _without_price(missing, error)), error
        return Quotes(quotes.good | more.good, quotes.bad | more.bad), problem

    def _load_held(self) -> list[str]:
        saved = key_value.load_cached(HELD_SYMBOLS_KEY)
        self._held = saved[0].split() if saved else []
        return self._held

    def _known_symbols(self) -> list[str]:
        """The symbols of what the account held when it was valued last: what has left it since then, and no trade or
        balance names any more, moves the base of the drawdown by its price of now."""
        known = load_known_account()
        try:
            bought = load_fills_since(known.last_event) if known.at is not None else {}
        except BotError:
            bought = {}  # who values the account tells it
        names = [name for name, amount in known.holdings.amounts.items() if amount]
        paths = valuation_symbols([*names, *bought], self.quote_currency, known.prices)
        return [symbol for name, path in paths.items() for symbol in path or (f"{name}/{self.quote_currency}",)]

    def _save_held(self, symbols: list[str]) -> None:
        if symbols != self._held:
            key_value.save_cached(HELD_SYMBOLS_KEY, " ".join(symbols))

    def _unlisted(self) -> frozenset[str]:
        """Lists that can't be had lack nothing: their error is a problem already."""
        symbols = self.journal.open_symbols()
        try:
            return frozenset(symbols) - self.exchange.load_markets().keys() if symbols else frozenset()
        except BotError:
            return frozenset()

    def _equity(
        self, balances: Balances | None, quotes: Quotes, no_prices: BotError | None
    ) -> tuple[Decimal | None, Mapping[str, Decimal], BotError | None]:
        """The value of all balances, and what of it no price of now gives: the last known values. None and why, when
        prices can't be had at all."""
        if balances is None:
            return None, {}, None
        equity, unvalued = calculate_equity(balances, self.quote_currency, quotes.prices)
        if not unvalued:
            return equity, {}, None
        if no_prices is not None:
            problem = f"{', '.join(unvalued)} can't be valued in {self.quote_currency}, so the drawdown is unknown"
            return None, {}, BotError(problem, hint="wait for its price")
        last_known = self._last_known_values(unvalued, balances, quotes.prices)
        without = Balances(tuple(each for each in balances.holdings if each.currency not in unvalued))
        certain = calculate_equity(without, self.quote_currency, quotes.prices)[0]
        return (certain or Decimal(0)) + total(last_known.values()), last_known, None

    def _last_known_values(
        self, unvalued: Sequence[str], balances: Balances, prices: Mapping[str, Decimal]
    ) -> dict[str, Decimal]:
        """The value of these balances at the prices that were believed last, else at the highest price of their newest
        trade. Nothing where no price was ever known."""
        known, quote = {**load_known_account().prices, **prices}, self.quote_currency
        highest = highest_prices(unvalued)
        values: dict[str, Decimal] = {}
        for asset in unvalued:
            amount = balances.total(asset)
            value = value_of(asset, amount, quote, known)
            if value is None and asset in highest:
                symbol, high = highest[asset]
                value = value_of(quote_of(symbol), amount * Decimal(repr(high)), quote, known)
            values[asset] = Decimal(0) if value is None else value
        return values


def _without_price(symbols: Sequence[str], error: BotError) -> dict[str, str]:
    return dict.fromkeys(symbols, _no_price(error))


def _no_price(error: BotError) -> str:
    return f"has no price ({error.message})"


def keep_prices(snapshot: Snapshot | None, journal: Journal) -> None:
    """For who looks between two runs. What can't be kept is no failure: the next run has newer ones."""
    if snapshot is None:
        return
    try:
        save_last_prices(snapshot.quotes.good, journal.open_symbols())
    except BotError as error:
        log.warning("the prices can't be kept: %s", error)
