"""The stop rule: one pure function on scalars for live trading, paper, demo and backtest; and where a stop that rests
at the exchange lies below it.

`initial_stop` and `advance_stop` use only their arguments, so that numba can compile them unchanged.
All prices are float64, in quote per asset.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

EXACT = Context(prec=100)
"""Holds any price in any number of ticks."""
ENOUGH = Decimal("0.99")
"""The fraction of a trade that its resting stop must be for at least. Lots and small rests differ by less."""
MAX_ENTRY_JUMP = 2.0
"""How many times the last price the ask of an entry may be, or the last price the ask."""


def initial_stop(entry: float, atr: float, multiple: float) -> float:
    """The stop after an entry: `multiple` average true ranges below the entry price."""
    return entry - multiple * atr


def advance_stop(
    price: float,
    stop: float,
    high: float,
    entry: float,
    atr: float,
    multiple: float,
    breakeven: float,
    break_even: float = 0.0,
) -> tuple[float, float, bool]:
    """The new stop, the new high, and whether `price` hits the stop.

    The high is the highest price since entry. Until it exceeds entry + `breakeven` * atr the stop rests; from then on
    it is at breakeven or better, `multiple` * atr below the high. Breakeven is the entry, or `break_even`, the price
    that pays for both fees, while that is at least half an ATR below the price: a stop closer than that would be hit by
    the next move. Zero means that fees don't count.
    Invariants: neither the stop nor the high ever falls.
    """
    new_high = max(high, price)
    new_stop = stop
    if new_high > entry + breakeven * atr:
        new_stop = max(stop, max(entry, new_high - multiple * atr))
        if break_even <= price - 0.5 * atr:
            new_stop = max(new_stop, break_even)
    return new_stop, new_high, price <= new_stop


def break_even_price(unit_cost: float, fee_rate: float) -> float:
    """The price at which a sale brings, after its own fee, what each unit has cost with the entry's fee."""
    return unit_cost / (1.0 - fee_rate)


def covers_costs(ask: float, stop: float, fee_rate: float, min_costs: float) -> bool:
    """Whether the stop is at least `min_costs` round trips (two fees on the ask) below the ask."""
    return ask - stop >= min_costs * 2.0 * fee_rate * ask


def is_entry_price(ask: float, last: float) -> bool:
    """Whether an ask is from half to twice the last price. Beyond that nothing is bought: one of them is wrong."""
    return last <= MAX_ENTRY_JUMP * ask and ask <= MAX_ENTRY_JUMP * last


class StopStep(NamedTuple):
    price: float
    stop: float
    high: float
    hit: bool


@dataclass(frozen=True)
class StopRule:
    """The rule with its parameters; multiples are of average true ranges."""

    atr_multiple: float
    """The distance of the stop below the entry, and later below the high."""
    breakeven_atr: float
    """The rise above the entry that starts to move the stop."""
    breakeven_fees: bool = False
    """Whether breakeven is the price that pays for both fees, not the entry."""

    def initial_stop(self, entry: float, atr: float) -> float:
        return initial_stop(entry, atr, self.atr_multiple)

    def break_even(self, unit_cost: float, fee_rate: float) -> float:
        """As `advance_over` takes it: what each unit has cost with its fee, and the rate of the sale's fee."""
        return break_even_price(unit_cost, fee_rate) if self.breakeven_fees else 0.0

    def advance_over(
        self, prices: Iterable[float], stop: float, high: float, entry: float, atr: float, break_even: float = 0.0
    ) -> Iterator[StopStep]:
        """One step for each price in turn, up to the one that hits the stop."""
        multiple, breakeven = self.atr_multiple, self.breakeven_atr
        for price in prices:
            stop, high, hit = advance_stop(price, stop, high, entry, atr, multiple, breakeven, break_even)
            yield StopStep(price, stop, high, hit)
            if hit:
                return


# A stop that rests at the exchange lies some average true ranges below the stop of the rule: the rule decides at each
# check, and the resting stop is there for what happens between two checks and while this machine is off.


def resting_trigger(stop: float, atr: float, distance: float) -> float:
    """The trigger for a stop of the rule: `distance` average true ranges below it; at most zero when there is none."""
    return stop - distance * atr


def exit_at_resting(trigger: float, opened: float, low: float) -> float:
    """The price, before slippage, at which a stop with this trigger sells inside a candle; zero when it does not.

    A candle that opens below the trigger sells at its open: in a gap there is no price in between.
    """
    if trigger <= 0.0 or low > trigger:
        return 0.0
    return min(opened, trigger)


def trigger_in_ticks(trigger: float, tick: Decimal) -> Decimal | None:
    """The trigger as an order takes it: cut down to a whole number of the market's price ticks, so that it is never
    above the rule's; None when that leaves no price."""
    cut = EXACT.multiply(EXACT.divide_int(Decimal(repr(trigger)), tick), tick)
    return cut if cut > 0 else None


def find_lack(
    amount: Decimal, stop: float | None, atr: float | None, distance: float, resting: tuple[Decimal, Decimal] | None
) -> str | None:
    """What an open trade's resting stop lacks, by the amount and the trigger that it is known to have: `none` where
    there is no such stop, `too small`, `too low`, or None.

    Less than half an average true range, or a hundredth of the amount, is left to the next check.
    """
    if resting is None:
        return "none"
    if resting[0] < ENOUGH * amount:
        return "too small"
    if stop is None or atr is None:
        return None
    return "too low" if float(resting[1]) < resting_trigger(stop, atr, distance) - 0.5 * atr else None


def is_too_low(trigger: Decimal, wanted: Decimal, tick: Decimal) -> bool:
    """Whether a resting stop is to be moved up: by at least one tick of the price. It is never moved down."""
    return wanted - trigger >= tick
