"""What the account is worth, and how far that is below its start."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from botctl.domain.markets import Balances, Market

WORTHLESS = frozenset({"KFEE"})
"""Kraken's fee credits: they pay fees, can't be sold or sent, and have no market, so they count as nothing."""


def valuation_symbols(currencies: Iterable[str], quote: str, markets: Mapping[str, Market]) -> dict[str, str | None]:
    """For each currency the symbol that values it in `quote`, direct or inverse; None where no market does."""
    return {
        currency: next((s for s in (f"{currency}/{quote}", f"{quote}/{currency}") if s in markets), None)
        for currency in sorted(set(currencies) - {quote} - WORTHLESS)
    }


def value_of(currency: str, amount: Decimal, quote: str, prices: Mapping[str, Decimal]) -> Decimal | None:
    """`amount` of `currency` in `quote` at last prices by symbol; None when it can't be valued."""
    if currency == quote:
        return amount
    if amount == 0 or currency in WORTHLESS:
        return Decimal(0)
    if (price := prices.get(f"{currency}/{quote}")) is not None:
        return amount * price
    if (price := prices.get(f"{quote}/{currency}")) is not None:
        return amount / price
    return None


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
        symbol = next((each for each in (f"{currency}/{quote}", f"{quote}/{currency}") if each in prices), "")
        offers = [{symbol: price} for price in prices[symbol]] if symbol else [dict[str, Decimal]()]
        values = [value_of(currency, amount, quote, offer) for amount in choices for offer in offers]
        certain = [value for value in values if value is not None]
        if len(certain) < len(values):
            return None
        low, high = low + min(certain), high + max(certain)
    return low, high
