"""What Kraken takes of each trade: its tiers, an account's own rates, and what a round trip costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.domain.money import to_decimal

TIERS = {
    1: ("0.0080", "0.0040"),
    2: ("0.0060", "0.0030"),
    3: ("0.0038", "0.0022"),
    4: ("0.0035", "0.0020"),
    5: ("0.0030", "0.0015"),
    6: ("0.0025", "0.0012"),
    7: ("0.0022", "0.0010"),
    8: ("0.0020", "0.0008"),
    9: ("0.0018", "0.0006"),
}
"""Taker and maker rate by tier, since 9 July 2026, as fractions of the cost."""
MAX_RATE = Decimal("0.5")
"""No fee is as much: such a rate is a mistake."""
TOLERANCE = Decimal("0.1")
"""How far the fee of a fill may be from the known rate, as a fraction of it."""


def parse_fee_rate(text: str) -> Decimal:
    """A fraction of the cost such as 0.008, or the taker rate of a tier: tier1 to tier9. Raises ValueError."""
    if (tier := re.fullmatch(r"tier\s?([0-9]+)", text.strip().lower())) is not None:
        if int(tier[1]) not in TIERS:
            raise ValueError(f"must be a tier from tier1 to tier{max(TIERS)}")
        return Decimal(TIERS[int(tier[1])][0])
    try:
        rate = to_decimal(text)
    except ValueError:
        raise ValueError(f"must be a number, or tier1 to tier{max(TIERS)}") from None
    if not 0 <= rate < MAX_RATE:
        raise ValueError(f"must be at least 0 and below {MAX_RATE}")
    return rate


def tier_of(taker: Decimal) -> int | None:
    """The tier with this taker rate; None for a rate of no tier, or of a higher one."""
    return next((tier for tier, (rate, _) in TIERS.items() if Decimal(rate) == taker), None)


@dataclass(frozen=True)
class PairFees:
    """The rates of one market, as fractions of the cost."""

    taker: Decimal
    maker: Decimal | None


@dataclass(frozen=True)
class FeeRates:
    """The taker rates to reckon with: the account's own where they are known, else the default."""

    default: Decimal
    known: Mapping[str, PairFees] = field(default_factory=dict)

    def taker(self, symbol: str) -> Decimal:
        own = self.known.get(symbol)
        return self.default if own is None else own.taker


def cost_with_fee(cost: Decimal, rate: Decimal) -> Decimal:
    """The funds that an entry of this cost needs."""
    return cost * (1 + rate)


def round_trip_rate(rate: Decimal) -> Decimal:
    """What buying and selling at one price costs, as a fraction of that price's cost."""
    return 2 * rate


def differs_from(rate: Decimal, cost: Decimal, fee: Decimal) -> bool:
    """Whether the fee of a fill is further from this rate than TOLERANCE."""
    return cost > 0 and abs(fee - cost * rate) > TOLERANCE * cost * rate
