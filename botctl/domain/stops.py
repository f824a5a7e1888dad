"""The stop rule: one pure function on scalars for live trading, paper, demo and backtest.

`initial_stop` and `advance_stop` use only their arguments, so that numba can compile them unchanged.
All prices are float64, in quote per asset.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


def initial_stop(entry: float, atr: float, multiple: float) -> float:
    """The stop after an entry: `multiple` average true ranges below the entry price."""
    return entry - multiple * atr


def advance_stop(
    price: float, stop: float, high: float, entry: float, atr: float, multiple: float, breakeven: float
) -> tuple[float, float, bool]:
    """The new stop, the new high, and whether `price` hits the stop.

    The high is the highest price since entry. Until it exceeds entry + `breakeven` * atr the stop rests; from then on
    it is at breakeven or better, `multiple` * atr below the high.
    Invariants: neither the stop nor the high ever falls.
    """
    new_high = max(high, price)
    new_stop = stop
    if new_high > entry + breakeven * atr:
        new_stop = max(stop, max(entry, new_high - multiple * atr))
    return new_stop, new_high, price <= new_stop


class StopStep(NamedTuple):
    price: float
    stop: float
    high: float
    hit: bool


@dataclass(frozen=True)
class StopRule:
    """The rule with its two parameters, both in average true ranges."""

    atr_multiple: float
    """The distance of the stop below the entry, and later below the high."""
    breakeven_atr: float
    """The rise above the entry that starts to move the stop."""

    def initial_stop(self, entry: float, atr: float) -> float:
        return initial_stop(entry, atr, self.atr_multiple)

    def advance_over(
        self, prices: Iterable[float], stop: float, high: float, entry: float, atr: float
    ) -> Iterator[StopStep]:
        """One step for each price in turn, up to the one that hits the stop."""
        for price in prices:
            stop, high, hit = advance_stop(price, stop, high, entry, atr, self.atr_multiple, self.breakeven_atr)
            yield StopStep(price, stop, high, hit)
            if hit:
                return
