"""What an exchange says about a market, and what it holds for us."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.errors import BadValue
from botctl.domain.money import floor_to, format_decimal


@dataclass(frozen=True)
class Market:
    """One tradable market and its order rules."""

    symbol: str
    base: str
    quote: str
    exchange_id: str
    """The exchange's own name of it, which its answers are keyed by."""
    lot_decimals: int
    price_decimals: int
    min_amount: Decimal
    """Least order size, in the asset."""
    min_cost: Decimal
    """Least notional, in quote."""
    status: str = "online"

    @property
    def tradable(self) -> bool:
        """Whether market orders are taken now."""
        return self.status == "online"


def market_of(markets: Mapping[str, Market], symbol: str) -> Market:
    """The market of `symbol`. Raises BadValue where there is none."""
    try:
        return markets[symbol]
    except KeyError:
        raise BadValue(f"{symbol} is no market here", hint="name one that is listed, such as BTC/USD") from None


@dataclass(frozen=True)
class Quote:
    """Prices of one symbol at one look. In quote per asset, positive; bid or ask may be missing in a thin market."""

    symbol: str
    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime


@dataclass(frozen=True)
class Quotes:
    """One look at several symbols: the good ones, and for each bad one what is wrong with it."""

    good: dict[str, Quote]
    bad: dict[str, str]

    @property
    def prices(self) -> dict[str, Decimal]:
        """The last price of each good one."""
        return {symbol: quote.last for symbol, quote in self.good.items()}


@dataclass(frozen=True)
class Holding:
    """What an exchange holds of one currency in one form.

    `form` is empty for what can be traded; F, B, M, S and P are Kraken's earning and staking forms, which count as
    their asset but can't be sold as they are.
    """

    currency: str
    form: str
    total: Decimal
    free: Decimal


@dataclass(frozen=True)
class Balances:
    """Everything an exchange holds for us."""

    holdings: tuple[Holding, ...]

    def spendable(self, currency: str) -> Decimal:
        """What can be traded at once."""
        return sum((h.free for h in self.holdings if h.currency == currency and not h.form), Decimal(0))

    def total(self, currency: str) -> Decimal:
        """All of it, in every form, on hold or not."""
        return sum((h.total for h in self.holdings if h.currency == currency), Decimal(0))

    def currencies(self) -> set[str]:
        """Every currency of which something is held."""
        return {h.currency for h in self.holdings if h.total != 0}


def amount_for_cost(cost: Decimal, price: Decimal, market: Market) -> Decimal:
    """The amount of the asset that `cost` buys at `price`, rounded down to the market's lot."""
    return floor_to(cost / price, market.lot_decimals)


def below_minimum(amount: Decimal, price: Decimal, market: Market) -> str:
    """Why an order of `amount` at `price` is too small for this market, or the empty text when it is not."""
    if amount < market.min_amount:
        return f"{format_decimal(amount)} {market.base} is below the order minimum of {format_decimal(market.min_amount)} {market.base}"
    notional = amount * price
    if notional < market.min_cost:
        return (
            f"{format_decimal(amount)} {market.base} is worth {notional:.2f} {market.quote}, "
            f"below the minimum of {format_decimal(market.min_cost)} {market.quote}"
        )
    return ""
