"""Plans entries: how much to buy at which price, once price, ATR and database have been checked. Sends nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, ExchangeRefused, ExchangeUnreachable, Refused
from botctl.domain.fees import round_trip_rate
from botctl.domain.freshness import is_fresh
from botctl.domain.markets import (
    KnownPrice,
    Market,
    Quote,
    amount_for_cost,
    below_minimum,
    contradiction_in,
    implausible_atr,
    scale_atr,
)
from botctl.domain.money import format_decimal
from botctl.domain.stops import covers_costs, is_entry_price
from botctl.domain.symbols import Timeframe
from botctl.domain.text import format_percent
from botctl.ports import Clock, Exchange
from botctl.trading.account_fees import AccountFees
from botctl.trading.evidence.api_key import KeyCheck
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.risk import RiskService
from botctl.trading.snapshot import MAX_PRICE_AGE, Snapshot, SnapshotService

ENTRY_ATRS, ENTRY_SHARE = 5.0, 0.05
"""How far the ask may be from the newest close: so many ATR or this share of it, whichever is more. That is less than a
stop believes, because an entry can wait. The ATR is that of the time since the close: a signal candle of four hours
allows no more, when it has just closed, than one of a quarter of an hour."""


MAX_CANDLE_AGE = 4
"""Signal candles: a market that is traded has a newer one."""


class Sizer(Protocol):
    """Sizes entries by more than an amount; see `RunSizer`."""

    def budget(self, market: Market, ask: Decimal, distance: float) -> Decimal: ...
    def too_little(self, market: Market, budget: Decimal, why: str) -> BotError: ...
    def commit(self, symbol: str, amount: Decimal, ask: Decimal) -> None: ...


Spend = Decimal | Sizer
"""What an entry may cost at the ask, or what tells it."""


@dataclass(frozen=True)
class PlannedEntry:
    """A buy to be placed. `ask` is the price that sized it, of the moment `priced_at`."""

    market: Market
    amount: Decimal
    atr: float
    ask: Decimal
    priced_at: datetime
    budget: Decimal
    """What it is to cost at the ask, in quote currency, before the fee."""
    stop: float
    """Where the stop is if it is filled at the ask; that of the trade follows from the price of its fill."""

    def check_age(self, now: datetime) -> None:
        """Raises ExchangeUnreachable when the price is old: this machine may have slept since it was asked for."""
        if not is_fresh(self.priced_at, now, MAX_PRICE_AGE):  # or its clock was set
            age = f"its price is of {self.priced_at:%Y-%m-%d %H:%M:%S} UTC"
            raise ExchangeUnreachable(f"{self.market.symbol} was not bought: {age}", hint="buy again at a fresh price")


@dataclass
class EntryPlanner:
    exchange: Exchange
    risk: RiskService
    pre_trade_checks: PreTradeChecks
    key_check: KeyCheck
    snapshots: SnapshotService
    clock: Clock
    fees: AccountFees
    min_stop_costs: float
    """How many round trips a stop must be away from the ask; 0: any."""
    timeframe: Timeframe
    """The time between two ticks."""

    def find_market(self, symbol: str) -> Market:
        """The market to buy in. Raises BotError when a rule or the exchange forbids it."""
        self.pre_trade_checks.check(symbol, self.clock.now())
        self.key_check.ask()
        self.fees.refresh(symbol)
        market = self.exchange.find_market(symbol)
        if not market.tradable:
            raise ExchangeRefused(f"{symbol} is in {market.status} mode", hint="wait until the exchange opens it again")
        self.pre_trade_checks.check_database()
        return market

    def plan(self, market: Market, amount_usd: Spend) -> PlannedEntry:
        """The buy whose cost at the ask is `amount_usd`. Raises BotError; no order without an ATR to stop it by."""
        symbol = market.symbol
        candles = self.risk.fetch_candles(symbol)
        atr = self.risk.calculate_atr(candles)
        quote, ask = self._fetch_quote(symbol, self._known_price(candles[-1], atr))
        stop = self.risk.calculate_stop_loss(ask, candles)
        if not quote.from_history:
            self._check_age(symbol, candles[-1])
        if (why := implausible_atr(quote, atr, stop)) is not None:
            raise Refused(f"{symbol}: {why}", hint="nothing was bought")
        self._check_costs(symbol, ask, stop)
        distance = self.risk.rule.atr_multiple * atr
        budget = amount_usd if isinstance(amount_usd, Decimal) else amount_usd.budget(market, ask, distance)
        if (why := _too_small(amount := amount_for_cost(budget, ask, market), ask, stop, market)) is not None:
            if not isinstance(amount_usd, Decimal):
                raise amount_usd.too_little(market, budget, why)
            problem = f"{format_decimal(budget)} {market.quote} buys too little{why}"
            raise ExchangeRefused(problem, hint="raise the amount")
        return PlannedEntry(market, amount, atr, ask, quote.at, budget, stop)

    def _known_price(self, newest: Candle, atr: float) -> KnownPrice:
        """The newest close, from which a price has wandered for as long as it is old."""
        seconds = self.risk.timeframe.seconds
        age = (self.clock.now() - newest.closed_at(seconds)).total_seconds()
        moved = scale_atr(atr, seconds, max(age, self.timeframe.seconds))
        return KnownPrice(newest.close, newest.close, moved, atrs=ENTRY_ATRS, share=ENTRY_SHARE)

    def _check_costs(self, symbol: str, ask: Decimal, stop: float) -> None:
        """Raises Refused for a stop so close that the fees alone are a large part of what it risks."""
        rate, price = self.fees.taker(symbol), float(ask)
        if not covers_costs(price, stop, float(rate), self.min_stop_costs):
            distance, costs = format_percent(Decimal(1 - stop / price)), format_percent(round_trip_rate(rate))
            raise Refused(
                f"the stop of {symbol} would be {distance} below the ask, less than {self.min_stop_costs:g} times the "
                f"{costs} that a round trip costs",
                hint="nothing was bought: see MIN_STOP_COSTS",
            )

    def _check_age(self, symbol: str, newest: Candle) -> None:
        """Raises ExchangeUnreachable for candles that end long ago: their ATR is not that of now."""
        seconds = self.risk.timeframe.seconds
        closed_at = newest.closed_at(seconds)
        max_age = MAX_CANDLE_AGE * timedelta(seconds=seconds)
        if not is_fresh(closed_at, self.clock.now(), max_age, tolerance=max_age):
            problem = f"the newest candle of {symbol} closed at {closed_at:%Y-%m-%d %H:%M} UTC"
            raise ExchangeUnreachable(problem, hint="nothing was bought; the next tick tries again")

    def _fetch_quote(self, symbol: str, known: KnownPrice) -> tuple[Quote, Decimal]:
        """The quote and its ask, asked for twice if the first is doubtful. A second doubt is not overruled."""
        first = Snapshot(self.exchange.fetch_quotes([symbol]), None, None, (), self.clock.now()).quote(
            symbol, self.clock.now()
        )
        if (why := _doubt_about_entry(first, known)) is None and first.ask is not None:
            return first, first.ask
        quote = self.snapshots.fetch_second_quotes([symbol]).quote(symbol, self.clock.now())
        again = _doubt_about_entry(quote, known)
        if again is not None or quote.ask is None:
            twice = "" if again == why else f"; a few seconds later {again}"
            raise BotError(f"the price of {symbol} is not believed: {why}{twice}", hint="nothing was bought")
        return quote, quote.ask


def _too_small(amount: Decimal, ask: Decimal, stop: float, market: Market) -> str | None:
    """Where and why an amount is below the market's minimum: it must be large enough to be sold at its stop, too."""
    for price, where in ((ask, ""), (Decimal(repr(stop)), " at its stop")):
        if why := below_minimum(amount, price, market):
            return f"{where}: {why}"
    return None


def _doubt_about_entry(quote: Quote, known: KnownPrice) -> str | None:
    """Why nothing is bought at a quote; None when bid, ask, last and the newest close agree."""
    if quote.from_history:
        return _jump_before_entry(quote)
    if quote.ask is None or quote.bid is None:
        return f"it has no {'ask' if quote.ask is None else 'bid'} price"
    if (why := contradiction_in(quote)) is not None or known.fits(float(quote.ask)):
        return why
    return f"its ask, {format_decimal(quote.ask)}, is far from {known.low:.8g}, the newest close (ATR {known.atr:.6g})"


def _jump_before_entry(quote: Quote) -> str | None:
    """Why not even a run on a history, where the ask is of the next candle, believes it."""
    if quote.ask is None or is_entry_price(float(quote.ask), float(quote.last)):
        return None
    ask, last = format_decimal(quote.ask), format_decimal(quote.last)
    return f"its ask, {ask}, is not between half and twice its last price, {last}"
