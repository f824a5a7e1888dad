"""Markets, quotes and balances as an exchange reports them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.errors import BadValue
from botctl.domain.money import floor_to, format_decimal


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

    @property
    def tradable(self) -> bool:
        """Whether the exchange accepts market orders now."""
        return self.status == "online"


def market_of(markets: Mapping[str, Market], symbol: str) -> Market:
    """The market of `symbol`. Raises BadValue."""
    try:
        return markets[symbol]
    except KeyError:
        raise BadValue(f"unknown market {symbol}", hint="name one that is listed, such as BTC/USD") from None


@dataclass(frozen=True)
class Quote:
    """Prices of one symbol, in quote per asset, positive. Bid or ask may be missing in a thin market."""

    symbol: str
    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime


@dataclass(frozen=True)
class Quotes:
    """The usable quotes of several symbols, and for each other symbol what is wrong with its quote."""

    good: dict[str, Quote]
    bad: dict[str, str]

    @property
    def prices(self) -> dict[str, Decimal]:
        return {symbol: quote.last for symbol, quote in self.good.items()}


@dataclass(frozen=True)
class Holding:
    """A balance; `form` is empty if it can be sold, else Kraken's earning or staking form (F, B, M, S or P)."""

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
        return sum((h.total for h in self.holdings if h.currency == currency), Decimal(0))

    def currencies(self) -> set[str]:
        return {h.currency for h in self.holdings if h.total != 0}


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
        return f"{size} is worth {notional:.2f} {market.quote}, below the minimum of {minimum}"
    return None
