"""The account as a fund whose units the owner buys and redeems: a second statement of how a drawdown is measured.

At the start there is one unit for each dollar of INITIAL_BALANCE. What the owner brings buys units at their price of
that moment, what he takes redeems them: so only prices and our own fills move the price of a unit, and the drawdown is
what it lacks to 1. A larger change of the owner's part is believed after a quarter of an hour, or at the next look when
it undoes the last one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tests.chaos.history import QUARTER

AT_ONCE = Decimal("0.001")
"""Of the fund: so much is believed at once."""
ABOUT = 30.0
"""Seconds by which two looks may be nearer or farther than the runs that took them."""


@dataclass(frozen=True)
class Account:
    """What a look finds, by currency."""

    prices: Mapping[str, Decimal]
    filled: Mapping[str, Decimal]
    """What our own orders brought and took, since ever."""
    owners: Mapping[str, Decimal]
    """All the rest."""

    def is_within(self, small: Decimal, name: str, part: Decimal) -> bool:
        """Whether the owner's part is that, or nearly."""
        return abs(self.owners[name] - part) * self.prices[name] <= small

    def worth(self, owners: Mapping[str, Decimal]) -> Decimal:
        return sum(((self.filled[name] + owners[name]) * self.prices[name] for name in owners), Decimal(0))


@dataclass(frozen=True)
class Doubt:
    """A change that has not lasted: the units grow by this factor if it does."""

    since: float
    shown: Decimal
    growth: Decimal


@dataclass(frozen=True)
class Fund:
    units: Decimal
    owners: Mapping[str, Decimal]
    """The owner's part that is believed, by currency."""
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    was_emptied: bool = False
    """Then nothing is said of it any more."""
    earlier: Mapping[str, Decimal] = field(default_factory=dict)
    """The owner's part before its last large change."""

    @property
    def key(self) -> tuple[object, ...]:
        """Two with the same one are the same, but for the last digits."""
        doubts = [(name, doubt.since, doubt.shown, round(doubt.growth, 9)) for name, doubt in self.doubts.items()]
        return round(self.units, 5), *map(tuple, (self.owners.items(), doubts, self.earlier.items())), self.was_emptied

    def drawdowns(self, account: Account) -> tuple[Decimal, Decimal]:
        """If no doubt is a flow, and if all are."""
        shown, units = {**self.owners}, self.units
        for name, doubt in self.doubts.items():
            shown[name], units = doubt.shown, units * doubt.growth
        return 1 - account.worth(self.owners) / self.units, 1 - account.worth(shown) / units

    def looks(self, account: Account, at: float) -> Iterator["Fund"]:
        """After a look: twice where it lies about a quarter of an hour after an earlier one."""
        for lasts in {QUARTER - ABOUT, QUARTER + ABOUT}:
            yield self._after(account, at, lasts)

    def _after(self, account: Account, at: float, lasts: float) -> "Fund":
        owners, doubts, units = {**self.owners}, {**self.doubts}, self.units
        small, emptied, earlier = AT_ONCE * account.worth(owners), self.was_emptied, {**self.earlier}
        shown = {**owners, **{name: doubt.shown for name, doubt in doubts.items()}}
        # A doubt that is over was no flow: what the others were a share of had it in it.
        is_over = any(account.is_within(small, name, owners[name]) for name in doubts)
        counted = {**owners} if is_over else shown
        total = account.worth(counted)
        for name in sorted(account.owners):
            part, doubt = account.owners[name], doubts.pop(name, None)
            is_large = not account.is_within(small, name, shown[name])
            grown = total + (part - counted[name]) * account.prices[name]
            emptied = emptied or total <= 0 or grown <= 0
            growth, total = Decimal(1) if emptied else grown / total, grown
            if doubt and not is_over:
                growth = doubt.growth * (growth if is_large else 1)
            if account.is_within(small, name, owners[name]):
                owners[name], units = part, units if doubt else units * growth
            elif (
                doubt
                and not is_large
                and (at - doubt.since >= lasts or (name in earlier and account.is_within(small, name, earlier[name])))
            ):
                earlier[name], owners[name], units = owners[name], part, units * growth
            else:
                doubts[name] = Doubt(at if is_large or not doubt else doubt.since, part, growth)
        return Fund(units, owners, doubts, emptied, earlier)
