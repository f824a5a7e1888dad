"""What the account is worth, and how far that is below its start."""

from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import product

from botctl.domain.markets import Balances

WORTHLESS = frozenset({"KFEE"})
"""Kraken's fee credits: they pay fees, can't be sold or sent, and have no market, so they count as nothing."""


BRIDGES = ("USD", "EUR", "USDT", "BTC")
"""What a currency is valued over that has no market in the quote currency, the best known first."""


def valuation_path(currency: str, quote: str, symbols: Container[str]) -> tuple[str, ...]:
    """The symbols that value `currency` in `quote`: one market, direct or inverse, else two. Empty where none do."""
    if (direct := _market_between(currency, quote, symbols)) is not None:
        return (direct,)
    for bridge in BRIDGES:
        if bridge in (currency, quote):
            continue
        first, second = _market_between(currency, bridge, symbols), _market_between(bridge, quote, symbols)
        if first is not None and second is not None:
            return first, second
    return ()


def _market_between(one: str, other: str, symbols: Container[str]) -> str | None:
    return next((symbol for symbol in (f"{one}/{other}", f"{other}/{one}") if symbol in symbols), None)


def valuation_symbols(currencies: Iterable[str], quote: str, markets: Container[str]) -> dict[str, tuple[str, ...]]:
    """For each currency the symbols that value it in `quote`; none where no markets do."""
    return {
        currency: valuation_path(currency, quote, markets) for currency in sorted(set(currencies) - {quote} - WORTHLESS)
    }


def value_of(currency: str, amount: Decimal, quote: str, prices: Mapping[str, Decimal]) -> Decimal | None:
    """`amount` of `currency` in `quote` at last prices by symbol; None when it can't be valued."""
    if currency == quote:
        return amount
    if amount == 0 or currency in WORTHLESS:
        return Decimal(0)
    path = valuation_path(currency, quote, prices)
    for symbol in path:
        base, other = symbol.split("/")
        amount, currency = (amount * prices[symbol], other) if currency == base else (amount / prices[symbol], base)
    return amount if path else None


def calculate_equity(
    balances: Balances, quote: str, prices: Mapping[str, Decimal]
) -> tuple[Decimal | None, tuple[str, ...]]:
    """All balances valued in `quote`, and the currencies that can't be valued. If there are any, equity is None."""
    total, unvalued = Decimal(0), []
    for currency in sorted(balances.currencies()):
        value = value_of(currency, balances.total(currency), quote, prices)
        if value is None:
            unvalued.append(currency)
        else:
            total += value
    return (None if unvalued else total), tuple(unvalued)


def calculate_drawdown(equity: Decimal, initial_balance: Decimal) -> Decimal:
    """1 - equity / initial balance, as a fraction: 0.20 is twenty percent down; negative when it grew."""
    return 1 - equity / initial_balance


def value_range(
    amounts: Mapping[str, Sequence[Decimal]], quote: str, prices: Mapping[str, Sequence[Decimal]]
) -> tuple[Decimal, Decimal] | None:
    """The lowest and the highest value in `quote` of amounts and prices of which each may be one of several.

    None when a currency can't be valued.
    """
    low = high = Decimal(0)
    for currency, choices in amounts.items():
        path = valuation_path(currency, quote, prices)
        offers = [dict(zip(path, each, strict=True)) for each in product(*(prices[symbol] for symbol in path))]
        values = [value_of(currency, amount, quote, offer) for amount in choices for offer in offers]
        certain = [value for value in values if value is not None]
        if len(certain) < len(values):
            return None
        low, high = low + min(certain), high + max(certain)
    return low, high
