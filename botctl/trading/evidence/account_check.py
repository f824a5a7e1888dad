"""Compares prices and balances with what is known, so that the drawdown guard believes nothing on one word.

A balance is compared with what earlier runs saw and our own fills have changed since: what else changed is a flow, or a
wrong answer until it has lasted. A price is compared with the last one that was believed and, before it decides
anything, with the exchange's candles.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.account.equity import WORTHLESS, valuation_path, value_of, value_range
from botctl.domain.account.holdings import add_missing
from botctl.domain.account.performance import Flow, Holdings, notice_flows
from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.freshness import is_fresh
from botctl.domain.markets import contradiction_in
from botctl.domain.money import format_decimal, total
from botctl.domain.symbols import Timeframe
from botctl.ports import Clock, Exchange
from botctl.store.evidence.gone_markets import highest_prices
from botctl.store.evidence.known_account import (
    KnownAccount,
    load_fills_since,
    load_known_account,
    newest_event,
)
from botctl.store.evidence.performance import SavedPerformance, save_look
from botctl.store.journal import Journal
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)

USUAL_MOVE = Decimal("0.30")
"""A price that moved by more than this fraction since it was last believed needs the candles to be believed."""
SMALL_MOVE = Decimal("0.10")
"""Up to this fraction a price is believed also where it would trip the guard."""
SAVED_MOVE = Decimal("0.01")
"""A smaller move is not worth a write."""
KEPT_FOR = timedelta(days=1)
MAX_WITNESSES = 5
"""Symbols of one check whose candles are fetched, those that matter most first."""


@dataclass(frozen=True)
class Look:
    """What a look found of the account's holdings, before it is kept."""

    known: KnownAccount
    """What was known before."""
    holdings: Holdings
    last_event: int
    """The newest event before it: what a run fills later is not in its balances."""
    flows: tuple[Flow, ...] = ()
    """Those that are certain now."""
    certain: bool = True
    """Whether it may be kept: not while an order of ours is unsettled, or a trade can't be read. A look that is not
    kept has no flows: the next one would find them, and move the base, once more."""


@dataclass(frozen=True)
class Valuation:
    """What the account is worth. All are None when a balance can't be valued."""

    equity: Decimal | None
    """With what is believed so far."""
    low: Decimal | None = None
    high: Decimal | None = None
    """The lowest and the highest it can be: of figures that contradict each other, none is believed alone."""
    shown_low: Decimal | None = None
    shown_high: Decimal | None = None
    """The same with the balances as they are shown, where they differ from what is believed: flows in doubt."""
    lowest: Decimal | None = None
    """With the lower one of each price and of the price before it."""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """The believed price of each symbol that the equity goes by."""
    look: Look | None = None
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
        last_event = newest_event()
        known = _load_known(last_event)
        quotes = self._valued_prices(snapshot, known)
        choices = {symbol: _choices(price, known.prices.get(symbol), SMALL_MOVE) for symbol, price in quotes.items()}
        return self._valuation(snapshot, known, choices, last_event)

    def value_closely(self, snapshot: Snapshot) -> Valuation:
        """As `value`, with the candles of the symbols whose price moved, or was never believed before."""
        if snapshot.balances is None or snapshot.equity is None:
            return Valuation(None)
        last_event = newest_event()
        known = _load_known(last_event)
        prices = self._valued_prices(snapshot, known)
        moved = [each for each, price in prices.items() if _moved(price, known.prices.get(each), SMALL_MOVE)]
        self._ask_witnesses(self._by_effect(snapshot, moved, known), prices)
        choices = {
            symbol: _choices(price, known.prices.get(symbol), SMALL_MOVE) if self._denied else (price,)
            for symbol, price in prices.items()
        }
        return self._valuation(snapshot, known, choices, last_event)

    def confirm(self, snapshot: Snapshot, valuation: Valuation) -> tuple[Valuation, list[BotError]]:
        """Ask the candles about doubtful prices. Called when nothing else waits for it, before `remember`."""
        look = valuation.look
        known = _load_known(newest_event() if look is None else look.last_event)
        prices = self._valued_prices(snapshot, known)
        if valuation.doubtful and look is not None:
            self._ask_witnesses(self._by_effect(snapshot, valuation.doubtful, known), prices)
            choices = {each: _choices(price, known.prices.get(each), USUAL_MOVE) for each, price in prices.items()}
            valuation = self._valuation(snapshot, known, choices, look.last_event)
            if valuation.look is not None and not look.certain:  # an order that was settled since is in the balances
                valuation = replace(valuation, look=replace(valuation.look, certain=False))
        return valuation, [_not_believed(each, prices[each], close) for each, close in self._denied.items()]

    def _valued_prices(self, snapshot: Snapshot, known: KnownAccount) -> dict[str, Decimal]:
        """The prices that value the balances, open trades, and what is known to be there."""
        shown = snapshot.balances.currencies() if snapshot.balances else ()
        currencies = {*shown, *snapshot.expected, *_names(known)}
        prices = snapshot.prices
        paths = (valuation_path(each, self.quote_currency, prices) for each in currencies)
        return {symbol: prices[symbol] for path in paths for symbol in path}

    def _valuation(
        self, snapshot: Snapshot, known: KnownAccount, choices: Mapping[str, tuple[Decimal, ...]], last_event: int
    ) -> Valuation:
        """`choices` are the possible prices of each symbol, where no candle has decided."""
        prices = self._valued_prices(snapshot, known)
        decided = _single(self._confirmed) | {
            each: self._denied_choices(each, prices[each], known) for each in self._denied
        }
        doubtful = tuple(each for each in prices if self._is_doubtful(each, known, snapshot))
        believed = prices | {each: known.prices.get(each, prices[each]) for each in doubtful} | self._denied
        before = {**_entry_prices(known, self.quote_currency, {**known.prices, **prices}), **known.prices}
        worth = _single({**before, **believed})
        shown = self._shown(snapshot)
        look = self._look_at(snapshot, known, shown, worth, last_event)
        held = _single({each: amount for each, amount in look.holdings.amounts.items() if self._worth(each, worth)})
        shown = {each: amount for each, amount in shown.items() if self._worth(each, worth)}
        possible = {**_single(before), **choices, **decided}
        earlier = {each: (*possible[each], known.prices.get(each, possible[each][0])) for each in possible}
        equity, bounds, shown_bounds, lowest = (
            value_range(amounts, self.quote_currency, offers)
            for amounts, offers in ((held, worth), (held, possible), (_single(shown), possible), (held, earlier))
        )
        if equity is None or bounds is None or shown_bounds is None or lowest is None:
            return Valuation(snapshot.equity, snapshot.equity, snapshot.equity)
        never_priced = total(value for each, value in snapshot.unvalued.items() if self._worth(each, worth) is None)
        bounds, shown_bounds = ((low + never_priced, high + never_priced) for low, high in (bounds, shown_bounds))
        differences = [
            f"{format_decimal(each.shown)} {currency} are there, and "
            f"{format_decimal(look.holdings.amounts.get(currency, Decimal(0)))} are expected"
            for currency, each in look.holdings.pending.items()
        ]
        differences += [_not_believed(each, prices[each], close).message for each, close in self._denied.items()]
        return Valuation(
            equity[0] + never_priced,
            *bounds,
            *shown_bounds,
            lowest[0] + never_priced,
            believed,
            look,
            doubtful,
            tuple(differences),
        )

    def _shown(self, snapshot: Snapshot) -> dict[str, Decimal]:
        """The balances, with what open trades hold and the balances lack: that is there until evidence says not."""
        if snapshot.balances is None:
            return {}
        balances = add_missing(snapshot.balances, snapshot.missing)
        return {currency: balances.total(currency) for currency in sorted(balances.currencies() - WORTHLESS)}

    def _look_at(
        self,
        snapshot: Snapshot,
        known: KnownAccount,
        shown: Mapping[str, Decimal],
        prices: Mapping[str, tuple[Decimal, ...]],
        last_event: int,
    ) -> Look:
        """What changed beside our own fills. At the first look there is nothing to compare with."""
        certain = not self.journal.unsettled() and not snapshot.unreadable
        priced = {each for each in {*shown, *known.holdings.amounts} if self._worth(each, prices) is not None}
        if known.at is None:
            first = Holdings({each: shown[each] for each in shown if each in priced})
            return Look(known, first, last_event, certain=certain)

        def value(currency: str, amount: Decimal) -> Decimal | None:
            worth = self._worth(currency, prices)
            return None if worth is None else amount * worth

        holdings, flows = notice_flows(known.holdings, shown, value, snapshot.at, accept=certain)
        # What was never priced is not known: once it has a price it comes in, and is no gain.
        amounts = {each: amount for each, amount in holdings.amounts.items() if each in priced}
        return Look(known, replace(holdings, amounts=amounts), last_event, flows, certain)

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

    def _worth(self, currency: str, prices: Mapping[str, tuple[Decimal, ...]]) -> Decimal | None:
        """What one of it is worth; None when nobody knows."""
        bounds = value_range({currency: (Decimal(1),)}, self.quote_currency, prices)
        return None if bounds is None else bounds[0]

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

    def remember(
        self, snapshot: Snapshot, valuation: Valuation, performance: SavedPerformance | None, *, new_base: bool = False
    ) -> None:
        """Keep prices and balances that were believed, and the performance with their flows. One from a new base has
        those in doubt in it."""
        known = load_known_account()
        believed = {
            symbol: price
            for symbol, price in self._valued_prices(snapshot, known).items()
            if symbol not in valuation.doubtful and _moved(price, known.prices.get(symbol), SAVED_MOVE)
        }
        kept, look = replace(known, prices={**known.prices, **believed}), valuation.look
        if look is not None and new_base and performance is not None:
            look = replace(look, holdings=look.holdings.from_a_new_base())
        certain = look is not None and look.certain
        if look is not None and certain and (look.holdings != known.holdings or _is_old(known, snapshot.at)):
            kept = KnownAccount(kept.prices, look.holdings, snapshot.at, look.last_event)
        flows = look.flows if look is not None and certain and performance is not None else ()
        save_look(None if kept == known else kept, performance, flows, self.quote_currency, snapshot.at)


def _load_known(last_event: int) -> KnownAccount:
    """What the last look saw, with our own fills up to that event."""
    known = load_known_account()
    if known.at is None:
        return known
    return replace(known, holdings=known.holdings.after_fills(load_fills_since(known.last_event, last_event)))


def _names(known: KnownAccount) -> list[str]:
    return [name for name, amount in known.holdings.amounts.items() if amount]


def _entry_prices(known: KnownAccount, quote: str, prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Of what we have bought and no look has valued: it may be gone before one does, and that is no loss."""
    unknown = [each for each in _names(known) if value_of(each, Decimal(1), quote, prices) is None]
    found = highest_prices(unknown) if unknown else {}
    return {symbol: Decimal(repr(price)) for symbol, price in found.values()}


def _is_old(known: KnownAccount, now: datetime) -> bool:
    """Kept again, so that only fills since then are added up."""
    return known.at is None or not is_fresh(known.at, now, KEPT_FOR)


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
