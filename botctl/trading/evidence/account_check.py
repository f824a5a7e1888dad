"""Compares prices and balances with what is known, so that the drawdown guard believes nothing on one word.

A balance is compared with what earlier runs saw and our own orders have changed since; a price with the last one that
was believed and, before it decides anything, with the exchange's candles.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.equity import WORTHLESS, value_range
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.freshness import is_ahead, is_fresh
from botctl.domain.holdings import add_missing
from botctl.domain.markets import contradiction_in
from botctl.domain.money import format_decimal
from botctl.domain.symbols import Timeframe
from botctl.ports import Clock, Exchange
from botctl.store.evidence.known_account import (
    KnownAccount,
    KnownBalance,
    flows_since,
    load_known_account,
    save_known_account,
)
from botctl.store.journal import Journal
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)

USUAL_MOVE = Decimal("0.30")
"""A price that moved by more than this fraction since it was last believed needs the candles to be believed."""
SMALL_MOVE = Decimal("0.10")
"""Up to this fraction a price is believed also where it would trip the guard."""
SAVED_MOVE = Decimal("0.01")
"""A smaller move is not worth a write."""
NEGLIGIBLE = Decimal("0.001")
"""Of the equity: a change of a balance that needs no explanation."""
ACCEPTED_AFTER = timedelta(minutes=15)
"""A balance that no order explains is believed when it has been shown for so long."""
KEPT_FOR = timedelta(days=1)
MAX_WITNESSES = 5
"""Symbols of one check whose candles are fetched, those that matter most first."""


@dataclass(frozen=True)
class Valuation:
    """What the account is worth. All are None when a balance can't be valued."""

    equity: Decimal | None
    """With what is believed so far."""
    low: Decimal | None = None
    high: Decimal | None = None
    """The lowest and the highest it can be: of figures that contradict each other, none is believed alone."""
    doubtful: tuple[str, ...] = ()
    """Symbols whose price moved too far to be believed at once."""
    differences: tuple[str, ...] = ()
    """The contradictions that are left, as sentences."""


@dataclass
class AccountCheck:
    exchange: Exchange
    journal: Journal
    clock: Clock
    _: KW_ONLY
    quote_currency: str
    timeframe: Timeframe
    _confirmed: dict[str, Decimal] = field(default_factory=dict, init=False)
    """Prices that the candles of this run agree with."""
    _denied: dict[str, Decimal] = field(default_factory=dict, init=False)
    """The closes of the running candles that deny a price."""

    def value(self, snapshot: Snapshot) -> Valuation:
        """The equity and its bounds by what is known. Makes no request."""
        if snapshot.balances is None or snapshot.equity is None:
            return Valuation(None)
        known = load_known_account()
        quotes = self._valued_prices(snapshot)
        choices = {symbol: _choices(price, known.prices.get(symbol), SMALL_MOVE) for symbol, price in quotes.items()}
        return self._valuation(snapshot, known, choices)

    def value_closely(self, snapshot: Snapshot) -> Valuation:
        """As `value`, with the candles of the symbols whose price moved, or was never believed before."""
        if snapshot.balances is None or snapshot.equity is None:
            return Valuation(None)
        known, prices = load_known_account(), self._valued_prices(snapshot)
        moved = [each for each, price in prices.items() if _moved(price, known.prices.get(each), SMALL_MOVE)]
        self._ask_witnesses(self._by_effect(snapshot, moved, known), prices)
        choices = {
            symbol: _choices(price, known.prices.get(symbol), SMALL_MOVE) if self._denied else (price,)
            for symbol, price in prices.items()
        }
        return self._valuation(snapshot, known, choices)

    def confirm(self, snapshot: Snapshot, valuation: Valuation) -> tuple[Valuation, list[BotError]]:
        """Ask the candles about doubtful prices, and keep what is believed. Called when nothing else waits for it."""
        known, prices = load_known_account(), self._valued_prices(snapshot)
        if valuation.doubtful:
            self._ask_witnesses(self._by_effect(snapshot, valuation.doubtful, known), prices)
            choices = {each: _choices(price, known.prices.get(each), USUAL_MOVE) for each, price in prices.items()}
            valuation = self._valuation(snapshot, known, choices)
        self._remember(snapshot, known, prices, valuation)
        return valuation, [_not_believed(each, prices[each], close) for each, close in self._denied.items()]

    def _valued_prices(self, snapshot: Snapshot) -> dict[str, Decimal]:
        """The prices that value the balances and those of open trades."""
        currencies = {*(snapshot.balances.currencies() if snapshot.balances else ()), *snapshot.expected}
        symbols = [name for each in currencies for name in self._names(each)]
        return {symbol: quote.last for symbol, quote in snapshot.quotes.good.items() if symbol in symbols}

    def _names(self, currency: str) -> tuple[str, str]:
        return f"{currency}/{self.quote_currency}", f"{self.quote_currency}/{currency}"

    def _valuation(
        self, snapshot: Snapshot, known: KnownAccount, choices: Mapping[str, tuple[Decimal, ...]]
    ) -> Valuation:
        """`choices` are the possible prices of each symbol, where no candle has decided."""
        prices = self._valued_prices(snapshot)
        decided = _single(self._confirmed) | {
            each: self._denied_choices(each, prices[each], known) for each in self._denied
        }
        amounts = self._amounts(snapshot, known, {**known.prices, **prices})
        bounds = value_range(amounts, self.quote_currency, {**_single(known.prices), **choices, **decided})
        doubtful = tuple(each for each in prices if self._is_doubtful(each, known, snapshot))
        believed = prices | {each: known.prices.get(each, prices[each]) for each in doubtful} | self._denied
        expected = {currency: each[-1:] for currency, each in amounts.items()}
        equity = value_range(expected, self.quote_currency, _single({**known.prices, **believed}))
        if bounds is None or equity is None:
            return Valuation(snapshot.equity, snapshot.equity, snapshot.equity)
        differences = [
            f"{format_decimal(each[0])} {currency} are there, and {format_decimal(each[1])} are expected"
            for currency, each in amounts.items()
            if len(each) > 1
        ]
        differences += [_not_believed(each, prices[each], close).message for each, close in self._denied.items()]
        return Valuation(equity[0], *bounds, doubtful, tuple(differences))

    def _is_doubtful(self, symbol: str, known: KnownAccount, snapshot: Snapshot) -> bool:
        """Whether a price is not believed. Without an earlier one the quote's own figures must agree."""
        if symbol in self._denied or symbol in self._confirmed:
            return symbol in self._denied
        quote, before = snapshot.quotes.good[symbol], known.prices.get(symbol)
        return contradiction_in(quote) is not None if before is None else _moved(quote.last, before, USUAL_MOVE)

    def _denied_choices(self, symbol: str, price: Decimal, known: KnownAccount) -> tuple[Decimal, ...]:
        """A price above the candle and the price known before is no choice: it would hide a loss of the others."""
        close = self._denied[symbol]
        twice_denied = symbol in known.prices and not _moved(close, known.prices[symbol], USUAL_MOVE)
        return (close,) if price > close and twice_denied else (price, close)

    def _amounts(
        self, snapshot: Snapshot, known: KnownAccount, prices: Mapping[str, Decimal]
    ) -> dict[str, tuple[Decimal, ...]]:
        """For each currency what the balance shows and, where no order of ours explains it, what is expected."""
        if snapshot.balances is None:
            return {}
        balances = add_missing(snapshot.balances, snapshot.missing)
        negligible = NEGLIGIBLE * abs(snapshot.equity or Decimal(0))
        amounts: dict[str, tuple[Decimal, ...]] = {}
        for currency in sorted((balances.currencies() | known.balances.keys()) - WORTHLESS):
            shown = balances.total(currency)
            expected = self._expected(currency, snapshot, known.of(currency), shown)
            value = value_range({currency: (abs(shown - expected),)}, self.quote_currency, _single(prices))
            explained = value is not None and value[0] <= negligible
            unknown = value is None and shown == 0  # it can't be valued, and nothing shows it
            if not unknown:
                amounts[currency] = (shown,) if explained else (shown, expected)
        return amounts

    def _expected(self, currency: str, snapshot: Snapshot, known: KnownBalance | None, shown: Decimal) -> Decimal:
        """What is known of a currency; `shown` when nothing is, or when it has been shown for long."""
        if known is None or is_ahead(known.at, snapshot.at) or currency in snapshot.unreadable:
            return shown  # which orders came after it, or what a trade holds, is not known
        since = known.differs_since
        if since is not None and not is_ahead(since, snapshot.at) and not is_fresh(since, snapshot.at, ACCEPTED_AFTER):
            return shown
        return known.amount + snapshot.expected.get(currency, Decimal(0)) + flows_since(known.at, currency)

    def _by_effect(self, snapshot: Snapshot, symbols: Sequence[str], known: KnownAccount) -> list[str]:
        """Those first that change the equity most; those of which no earlier price is known before them."""
        balances = add_missing(snapshot.balances, snapshot.missing) if snapshot.balances else None

        def effect(symbol: str) -> tuple[bool, Decimal]:
            price, before = snapshot.quotes.good[symbol].last, known.prices.get(symbol)
            if balances is None or before is None:
                return True, price
            return False, abs(balances.total(symbol.split("/")[0]) * (price - before))

        return sorted(symbols, key=effect, reverse=True)

    def _ask_witnesses(self, symbols: Sequence[str], prices: Mapping[str, Decimal]) -> None:
        """Compare prices with their running candles. One that can't be had leaves the price as it is."""
        for symbol in [each for each in symbols if each not in self._confirmed | self._denied][:MAX_WITNESSES]:
            try:
                candle = self.exchange.fetch_running_candle(symbol, self.timeframe)
            except BotError as error:
                log.warning("%s: no candle to compare its price with: %s", symbol, error)
                continue
            if _agrees(prices[symbol], candle):
                self._confirmed[symbol] = prices[symbol]
            else:
                self._denied[symbol] = Decimal(repr(candle.close))
                log.warning("%s", _not_believed(symbol, prices[symbol], self._denied[symbol]))

    def _remember(
        self, snapshot: Snapshot, known: KnownAccount, prices: Mapping[str, Decimal], valuation: Valuation
    ) -> None:
        """Keep prices and balances that were believed. While an order is unsettled no balance is."""
        believed = {
            symbol: price
            for symbol, price in prices.items()
            if symbol not in valuation.doubtful and _moved(price, known.prices.get(symbol), SAVED_MOVE)
        }
        kept = KnownAccount({**known.prices, **believed}, self._balances_to_keep(snapshot, known))
        if kept != known:
            save_known_account(kept)

    def _balances_to_keep(self, snapshot: Snapshot, known: KnownAccount) -> dict[str, KnownBalance]:
        kept = dict(known.balances)
        if snapshot.equity is None or snapshot.missing or snapshot.unreadable or self.journal.unsettled():
            return kept
        amounts = self._amounts(snapshot, known, {**known.prices, **self._valued_prices(snapshot)})
        for currency, each in amounts.items():
            amount, before = each[0] - snapshot.expected.get(currency, Decimal(0)), known.of(currency)
            if len(each) == 1:
                if before is None or before.differs_since or before.amount != amount or _is_old(before, snapshot.at):
                    kept[currency] = KnownBalance(amount, snapshot.at)
            elif before is not None and (before.differs_since is None or is_ahead(before.differs_since, snapshot.at)):
                kept[currency] = replace(before, differs_since=snapshot.at)
        return kept


def _is_old(known: KnownBalance, now: datetime) -> bool:
    """Kept again, so that only orders since then are added up."""
    return not is_fresh(known.at, now, KEPT_FOR)


def _moved(price: Decimal, before: Decimal | None, share: Decimal) -> bool:
    return before is None or not before / (1 + share) <= price <= before * (1 + share)


def _choices(price: Decimal, before: Decimal | None, share: Decimal) -> tuple[Decimal, ...]:
    return (price,) if before is None or not _moved(price, before, share) else (price, before)


def _agrees(price: Decimal, running: Candle) -> bool:
    """Whether the price is within what the running candle shows, or near it."""
    near = 1 + float(SMALL_MOVE)
    return running.low / near <= float(price) <= running.high * near


def _single(prices: Mapping[str, Decimal]) -> dict[str, tuple[Decimal, ...]]:
    return {symbol: (price,) for symbol, price in prices.items()}


def _not_believed(symbol: str, price: Decimal, witness: Decimal) -> ExchangeUnreachable:
    shown, closed = format_decimal(price), format_decimal(witness)
    return ExchangeUnreachable(
        f"the price of {symbol}, {shown}, is not believed: its running candle stands at {closed}",
        hint="the drawdown is judged without it; the next check looks again",
    )
