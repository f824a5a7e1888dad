"""Markets, quotes and balances as an exchange reports them, and when a quote is a price."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import pairwise

from botctl.domain.errors import BadValue
from botctl.domain.money import cents, floor_to, format_decimal

DELISTED = frozenset({"delisted", "disabled"})


UNKNOWN_MARKET_HINT = (
    "name one that is listed, such as BTC/USD; if an open trade's market is gone, `botctl forget TRADE` closes it"
)


@dataclass(frozen=True)
class Market:
    symbol: str
    base: str
    quote: str
    exchange_id: str
    """The exchange's own name, the key of its answers."""
    lot_decimals: int
    price_decimals: int
    min_amount: Decimal
    """Minimum order size, in the asset."""
    min_cost: Decimal
    """Minimum notional, in quote."""
    status: str = "online"
    tick_size: Decimal = Decimal(0)
    """The grid of prices, in quote; zero where only the decimals are known."""

    @property
    def price_tick(self) -> Decimal:
        """The smallest step of a price: the grid may be coarser than the decimals."""
        return max(self.tick_size, Decimal(1).scaleb(-self.price_decimals))

    @property
    def delisted(self) -> bool:
        """Whether the exchange has closed it for good. The other statuses pass."""
        return self.status in DELISTED

    @property
    def tradable(self) -> bool:
        """Whether the exchange accepts market orders now."""
        return self.status == "online"


def market_of(markets: Mapping[str, Market], symbol: str) -> Market:
    """The market of `symbol`. Raises BadValue."""
    try:
        return markets[symbol]
    except KeyError:
        raise BadValue(f"unknown market {symbol}", hint=UNKNOWN_MARKET_HINT) from None


@dataclass(frozen=True)
class Quote:
    """Prices of one symbol, in quote per asset, positive. Bid or ask may be missing in a thin market."""

    symbol: str
    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime
    date_gap: timedelta = timedelta(0)
    """How far the answer's own date is from the exchange's time, negative in the past; zero within a minute."""
    seen_at: datetime | None = None
    """The exchange's time of the answer, where it told: the clock that candles are stamped by."""
    from_history: bool = False
    """Played from a history: last is the bar's close, and bid and ask are of the next one, where orders are filled."""

    @property
    def stop_price(self) -> Decimal:
        """The price that a stop is compared with: the lower of last and ask.

        A last trade below the whole book is as old as one above it. A book whose bid is above its ask says nothing.
        """
        if self.from_history or self.ask is None or (self.bid is not None and self.bid > self.ask):
            return self.last
        if self.bid is not None and self.last * NEAR < self.bid:
            return self.ask
        return min(self.last, self.ask)


@dataclass(frozen=True)
class Quotes:
    """The usable quotes of several symbols, and for each other symbol what is wrong with its quote."""

    good: dict[str, Quote]
    bad: dict[str, str]

    @property
    def prices(self) -> dict[str, Decimal]:
        return {symbol: quote.last for symbol, quote in self.good.items()}


NEAR = Decimal("1.5")
"""Last price and book belong together within this factor. Beyond it one of them is wrong, or very old."""
FAR = 2.0
"""A move by more than this factor is looked at twice, however long ago the last good check was."""


def scale_atr(atr: float, candle_seconds: float, seconds: float) -> float:
    """How far a price usually moves in `seconds`, at most a candle, by the ATR of candles of `candle_seconds`: it
    wanders with the square root of the time."""
    return atr * math.sqrt(min(1.0, seconds / candle_seconds))


@dataclass(frozen=True)
class KnownPrice:
    """Where the price was at the last good check: between `low` and `high`, some candles ago."""

    low: float
    high: float
    atr: float
    candles: float = 0.0
    """How many candles have passed since then, of the timeframe that the ATR is of."""
    atrs: float = 10.0
    share: float = 0.30
    """How far the price may move within a candle: this many ATR, or this share of it, whichever is more."""

    def plausible_range(self) -> tuple[float, float]:
        """Where the price may be now. A price wanders with the square root of the time."""
        wandered = math.sqrt(max(1.0, self.candles))
        fall, rise = (max(self.atrs * self.atr, self.share * price) * wandered for price in (self.low, self.high))
        return max(self.low - fall, self.low / FAR), min(self.high + rise, self.high * FAR)

    def fits(self, price: float) -> bool:
        lowest, highest = self.plausible_range()
        return lowest <= price <= highest


def contradiction_in(quote: Quote) -> str | None:
    """Why the figures of a quote can't all be true; None when they can."""
    if quote.date_gap:
        return f"its answer is dated {abs(quote.date_gap)} {'before' if quote.date_gap.days < 0 else 'after'} now"
    if quote.from_history:
        return None
    bid, ask, last = quote.bid, quote.ask, quote.last
    if bid is not None and ask is not None and bid > ask:
        return f"its bid, {format_decimal(bid)}, is above its ask, {format_decimal(ask)}"
    for name, price in (("bid", bid), ("ask", ask)):
        if price is not None and not last / NEAR <= price <= last * NEAR:
            return f"its {name}, {format_decimal(price)}, is far from its last price, {format_decimal(last)}"
    return None


def doubt_about(quote: Quote, known: KnownPrice | None) -> str | None:
    """Why a quote is not taken for a price before a second one agrees; None when it is a price."""
    if (why := contradiction_in(quote)) is not None or known is None:
        return why
    price = float(quote.stop_price)
    if known.fits(price):
        return None
    lowest, highest = known.plausible_range()
    return f"its price, {price:.8g}, is outside {lowest:.8g} to {highest:.8g}, which the last good check allows"


def quotes_agree(first: Quote, second: Quote, stop: float, atr: float) -> bool:
    """Whether two quotes, some seconds apart, say the same: on one side of the stop, near each other, both of now."""
    one, other = float(first.stop_price), float(second.stop_price)
    if first.date_gap or second.date_gap:
        return False
    return (one <= stop) == (other <= stop) and KnownPrice(one, one, atr).fits(other)


def without_absurd_closes(closes: Sequence[float], known: KnownPrice, price: float) -> list[float]:
    """The closes without each one that is far from the one before it and from the one after it.

    Before the first stands the last good check, after the last the `price` of now.
    """
    kept: list[float] = []
    for close, following in pairwise([*closes, price]):
        if known.fits(close) or KnownPrice(following, following, known.atr).fits(close):
            kept.append(close)
            known = KnownPrice(close, close, known.atr)
    return kept


MAX_ATR_SHARE = 1 / 3
"""A larger ATR, as a share of the price, comes from wrong candles: its stop would be next to nothing."""


def implausible_atr(quote: Quote, atr: float, stop: float) -> str | None:
    """Why an entry at this quote can't be guarded by a stop from this ATR; None when it can."""
    if quote.from_history or quote.ask is None:
        return None
    if atr > MAX_ATR_SHARE * float(quote.ask):
        return f"an ATR of {atr:.6g} is more than a third of the price, {format_decimal(quote.ask)}"
    if quote.bid is not None and stop >= float(quote.bid):
        bid, ask = format_decimal(quote.bid), format_decimal(quote.ask)
        return f"a stop at {stop:.8g} (ATR {atr:.6g}) would be inside the spread of {bid} to {ask}"
    return None


@dataclass(frozen=True)
class Holding:
    """A balance; `form` is empty if it can be sold, else Kraken's form that can't (F, B, M, S, P, T or HOLD)."""

    currency: str
    form: str
    total: Decimal
    free: Decimal


@dataclass(frozen=True)
class Balances:
    holdings: tuple[Holding, ...]

    def spendable(self, currency: str) -> Decimal:
        """What can be traded now."""
        return sum((h.free for h in self.holdings if h.currency == currency and not h.form), Decimal(0))

    def total(self, currency: str) -> Decimal:
        """The whole balance, in every form, on hold or not."""
        return self._totals.get(currency, Decimal(0))

    def on_hold(self, currency: str) -> Decimal:
        """What open orders keep back."""
        return sum((h.total - h.free for h in self.holdings if h.currency == currency and not h.form), Decimal(0))

    def with_released(self, currency: str, amount: Decimal) -> "Balances":
        """The same after an order that may have held `amount` was canceled: no more is free than there is."""
        return Balances(
            tuple(
                replace(h, free=min(h.total, h.free + amount)) if h.currency == currency and not h.form else h
                for h in self.holdings
            )
        )

    def currencies(self) -> set[str]:
        return {h.currency for h in self.holdings if h.total != 0}

    @cached_property
    def _totals(self) -> dict[str, Decimal]:
        """By currency: hundreds are looked up while a stop waits."""
        totals: dict[str, Decimal] = {}
        for holding in self.holdings:
            totals[holding.currency] = totals.get(holding.currency, Decimal(0)) + holding.total
        return totals


def amount_for_cost(cost: Decimal, price: Decimal, market: Market) -> Decimal:
    """The amount of the asset that `cost` buys at `price`, rounded down to the market's lot."""
    return floor_to(cost / price, market.lot_decimals)


def below_minimum(amount: Decimal, price: Decimal, market: Market) -> str | None:
    """Why an order of `amount` at `price` is too small for this market; None when it is not."""
    size = f"{format_decimal(amount)} {market.base}"
    if amount < market.min_amount:
        return f"{size} is below the order minimum of {format_decimal(market.min_amount)} {market.base}"
    notional = amount * price
    if notional < market.min_cost:
        minimum = f"{format_decimal(market.min_cost)} {market.quote}"
        return f"{size} is worth {cents(notional)} {market.quote}, below the minimum of {minimum}"
    return None
