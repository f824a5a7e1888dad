"""What the account should hold by our own settled orders, compared with a balance."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.markets import Balances, Holding
from botctl.domain.money import format_decimal, total
from botctl.domain.orders import FillRecord, Side
from botctl.domain.symbols import base_of

SMALLEST_DIFFERENCE = Decimal("1e-8")
"""Kraken's lots have at most this many decimals."""
MAX_ROUNDING = Decimal("0.001")
"""The largest fraction of a holding that the decimals of a balance may hide."""


@dataclass(frozen=True)
class Missing:
    """An asset whose balance, in every form and on hold or not, is smaller than what open trades hold."""

    asset: str
    expected: Decimal
    balance: Decimal

    @property
    def amount(self) -> Decimal:
        return self.expected - self.balance

    def __str__(self) -> str:
        amount, balance, expected = map(format_decimal, (self.amount, self.balance, self.expected))
        return f"{amount} {self.asset} are missing: the balance is {balance}, open trades hold {expected}"


@dataclass(frozen=True)
class OutsideSales:
    """The sells of an asset by anybody else than this database, and what was bought outside since then."""

    sold: Decimal
    bought: Decimal
    cost: Decimal | None
    """The proceeds of `sold`; None when they are not all in the trade's quote currency."""
    fee: Decimal | None
    order_id: str
    """The exchange's id of the last one."""
    at: datetime
    """Its last fill."""


def find_missing(expected: Mapping[str, Decimal], balances: Balances) -> tuple[Missing, ...]:
    """The assets whose balance contradicts the expectation. What rounding of the balance explains is none."""
    compared = (Missing(asset, amount, balances.total(asset)) for asset, amount in sorted(expected.items()))
    return tuple(each for each in compared if each.amount >= _smallest_difference(each))


def _smallest_difference(missing: Missing) -> Decimal:
    """One unit of the balance's last decimal, and never more than MAX_ROUNDING of what is expected."""
    return max(SMALLEST_DIFFERENCE, min(unit_of(missing.balance), MAX_ROUNDING * missing.expected))


def unit_of(balance: Decimal) -> Decimal:
    """One unit of a balance's last decimal: what is less than that may be its rounding."""
    exponent = balance.as_tuple().exponent
    if balance == 0 or not isinstance(exponent, int) or exponent >= 0:
        return SMALLEST_DIFFERENCE
    return max(SMALLEST_DIFFERENCE, Decimal(1).scaleb(exponent))


def add_missing(balances: Balances, missing: Iterable[Missing]) -> Balances:
    """The balances as our own orders left them: what is missing counts in the equity, and is not free."""
    return Balances((*balances.holdings, *(Holding(each.asset, "", each.amount, Decimal(0)) for each in missing)))


def find_successors(
    others: Set[str], lost: Iterable[Decimal], balances: Balances, explained: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """The assets, and how much of each, that one that vanished may have been renamed to: those whose balance beyond
    what is `explained` is one of the amounts that are `lost`, but for rounding. `others` are none of them."""
    amounts = [amount for amount in lost if amount > 0]
    beyond = {
        currency: balances.total(currency) - explained.get(currency, Decimal(0))
        for currency in sorted(balances.currencies() - others)
    }
    return {
        currency: rest
        for currency, rest in beyond.items()
        if any(abs(rest - amount) <= max(SMALLEST_DIFFERENCE, MAX_ROUNDING * amount) for amount in amounts)
    }


def sold_outside(missing: Decimal, surplus: Decimal, sales: OutsideSales) -> Decimal:
    """How much of what is missing outside sales explain. The owner's own coins, the `surplus`, are sold first."""
    return max(Decimal(0), min(missing, sales.sold - sales.bought - surplus))


def sold_between(asset: str, since: datetime, until: datetime, fills: Iterable[FillRecord]) -> Decimal:
    """How much more of `asset` was sold than bought from one moment until before another, and at least 0."""
    own = [each for each in fills if base_of(each.symbol) == asset and since <= each.fill.at < until]
    return max(Decimal(0), total(each.fill.amount * (1 if each.side is Side.SELL else -1) for each in own))


def outside_sales(asset: str, quote: str, since: datetime, fills: Iterable[FillRecord]) -> OutsideSales | None:
    """The sells of `asset` since a moment among `fills`, none of which are ours; None without one."""
    own = [each for each in fills if base_of(each.symbol) == asset and each.fill.at >= since]
    sells = [each for each in own if each.side is Side.SELL]
    if not sells:
        return None
    in_quote = all(each.symbol == f"{asset}/{quote}" for each in sells)
    last = max((each.fill for each in sells), key=lambda fill: fill.at)
    return OutsideSales(
        sold=total(each.fill.amount for each in sells),
        bought=total(each.fill.amount for each in own if each.side is Side.BUY),
        cost=total(each.fill.cost for each in sells) if in_quote else None,
        fee=total(each.fill.fee for each in sells) if in_quote else None,
        order_id=last.exchange_order_id,
        at=last.at,
    )
