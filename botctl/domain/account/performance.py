"""What the account has made of its money: deposits and withdrawals are neither a gain nor a loss.

The account counts as units, as a fund does. A unit is worth 1 at the start, when the account is worth INITIAL_BALANCE.
What comes or goes beside our own fills buys or redeems units at their worth of that moment, so it moves the base that
drawdown is measured from, and never the worth of a unit.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.account.equity import calculate_drawdown
from botctl.domain.freshness import is_ahead, is_fresh

FLOW = "flow"
"""The event of a deposit, a withdrawal, or anything else that changed a balance without a fill of botctl's own."""
NEGLIGIBLE = Decimal("0.001")
"""Of the equity: a change of a balance that is taken for a flow at once. A larger one must last."""
ROUNDING = Decimal("1e-6")
"""Of the equity: a change that is no flow."""
ACCEPTED_AFTER = timedelta(minutes=15)
"""A larger flow counts when balances have shown it for so long: a balance that lies or lags is none."""


@dataclass(frozen=True)
class Performance:
    """`base` is the equity at which the drawdown is zero, `unit` the newest worth of a unit, `peak` the highest."""

    base: Decimal
    unit: Decimal = Decimal(1)
    peak: Decimal = Decimal(1)

    def unit_at(self, equity: Decimal) -> Decimal:
        """What a unit is worth. An account that was emptied keeps what it was worth before."""
        return equity / self.base if self.base > 0 else self.unit

    def drawdown_at(self, equity: Decimal) -> Decimal:
        """1 - equity / base, as a fraction: 0.20 is twenty percent down; negative when it grew."""
        return calculate_drawdown(equity, self.base) if self.base > 0 else 1 - self.unit

    def drawdown_from_peak(self, equity: Decimal) -> Decimal:
        return calculate_drawdown(self.unit_at(equity), self.peak)

    def seen_at(self, equity: Decimal, lowest: Decimal | None = None) -> "Performance":
        """After a look. The peak follows the `lowest` equity that the look leaves possible."""
        proved = self.unit_at(equity if lowest is None else lowest)
        return replace(self, unit=self.unit_at(equity), peak=max(self.peak, proved))

    def after_flow(self, before: Decimal, after: Decimal) -> "Performance":
        """After a flow that changed the equity from `before` to `after`, at the prices of one moment.

        base * (1 + flow / (equity - flow)), where equity - flow is `before`.
        """
        unit = self.unit_at(before)
        if before > 0 and self.base > 0:
            return replace(self, base=self.base * after / before, unit=unit)
        return replace(self, base=after / unit if unit > 0 else self.base + after - before, unit=unit)


@dataclass(frozen=True)
class Flow:
    """What came in (or went out, negative) beside our own fills, and the equity before and after it."""

    currency: str
    amount: Decimal
    before: Decimal
    after: Decimal


@dataclass(frozen=True)
class Pending:
    """A flow that has not lasted for long enough: either it is one, or the balance is wrong."""

    since: datetime
    shown: Decimal
    """The balance at the newest look."""
    before: Decimal
    after: Decimal
    """The equity without and with it, at the prices of the look that saw it first."""


@dataclass(frozen=True)
class Holdings:
    """What the account holds by all that is known, trades included, and the flows that are still in doubt."""

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    before: Mapping[str, Decimal] = field(default_factory=dict)
    """What there was of a currency before its last large flow: a balance that comes back to that needs no quarter of an
    hour to be believed, or one that lied for an hour would leave a loss in doubt for longer than it lied."""

    def after_fills(self, changes: Mapping[str, Decimal]) -> "Holdings":
        """With what our own fills have changed since then."""
        amounts = {
            name: self.amounts.get(name, Decimal(0)) + changes.get(name, 0) for name in {*self.amounts, *changes}
        }
        pending = {name: replace(each, shown=each.shown + changes.get(name, 0)) for name, each in self.pending.items()}
        before = {name: amount + changes.get(name, 0) for name, amount in self.before.items()}
        return Holdings(amounts, pending, before)

    def from_a_new_base(self) -> "Holdings":
        """With flows in doubt that will move no base: an INITIAL_BALANCE that was set after them counts them."""
        return replace(self, pending={name: replace(each, before=each.after) for name, each in self.pending.items()})


Value = Callable[[str, Decimal], Decimal | None]
"""What an amount of a currency is worth now; None when nobody knows."""


def notice_flows(
    known: Holdings, shown: Mapping[str, Decimal], value: Value, at: datetime, *, accept: bool = True
) -> tuple[Holdings, tuple[Flow, ...]]:
    """Compare balances with what is known: the holdings after that, and the flows that are certain now.

    A balance that differs counts at its known amount until it has differed for long. Without `accept` none is certain.
    """
    amounts, pending, earlier = dict(known.amounts), dict(known.pending), dict(known.before)
    small = NEGLIGIBLE * abs(_worth(amounts.items(), value))
    anew = _begin_anew(known, shown, value, small)
    counted = {
        name: amounts.get(name, Decimal(0)) if anew else _last_shown(known, name) for name in {*amounts, *pending}
    }
    equity = _worth(counted.items(), value)
    flows: list[Flow] = []
    for name in sorted({*amounts, *shown}):
        now, before = shown.get(name, Decimal(0)), amounts.get(name, Decimal(0))
        doubt = pending.pop(name, None)
        change, differs = value(name, now - _last_shown(known, name)), value(name, now - before)
        if change is None or differs is None:
            amounts[name] = now
            continue
        after = equity + (differs if anew else change)
        if anew and doubt is not None:
            doubt = replace(doubt, before=equity, after=after)
        if doubt is not None and abs(differs) > small:
            fresh = _is_new(doubt, at) or abs(change) > small
            back = name in earlier and abs(_worth([(name, now - earlier[name])], value)) <= small
            if accept and not fresh and (back or not is_fresh(doubt.since, at, ACCEPTED_AFTER)):
                flows.append(Flow(name, now - before, doubt.before, doubt.after))
                amounts[name], earlier[name] = now, before
            else:
                grown = doubt.after * after / equity if abs(change) > small and not anew and equity > 0 else doubt.after
                pending[name] = Pending(at if fresh else doubt.since, now, doubt.before, grown)
        elif doubt is None and abs(change) > small:
            pending[name] = Pending(at, now, equity, after)
        else:
            if accept and doubt is None and abs(change) > ROUNDING * abs(equity):
                flows.append(Flow(name, now - before, equity, after))
            amounts[name] = now
        equity = after
    return Holdings(amounts, pending, earlier), tuple(flows)


def _begin_anew(known: Holdings, shown: Mapping[str, Decimal], value: Value, small: Decimal) -> bool:
    """Whether all doubts are measured anew, from what is known: what one of them was a share of has proved wrong.

    So it is when another doubt is over, and when an account that was shown empty is shown with something.
    """

    def is_large(name: str, amount: Decimal) -> bool:
        return abs(value(name, amount) or Decimal(0)) > small

    doubts = known.pending
    over = any(not is_large(name, shown.get(name, Decimal(0)) - known.amounts.get(name, 0)) for name in doubts)
    changes = {name: shown.get(name, Decimal(0)) - _last_shown(known, name) for name in {*known.amounts, *shown}}
    was_empty = any(min(doubt.before, doubt.after) <= 0 for doubt in doubts.values())
    return over or (was_empty and any(is_large(name, change) for name, change in changes.items()))


def _is_new(doubt: Pending, at: datetime) -> bool:
    """Whether its age tells nothing: the clock was wrong."""
    return is_ahead(doubt.since, at)


def _last_shown(known: Holdings, name: str) -> Decimal:
    doubt = known.pending.get(name)
    return known.amounts.get(name, Decimal(0)) if doubt is None else doubt.shown


def _worth(amounts: Iterable[tuple[str, Decimal]], value: Value) -> Decimal:
    values = [value(name, amount) for name, amount in amounts]
    return sum((each for each in values if each is not None), Decimal(0))
