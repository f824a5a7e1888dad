"""The stop rule: one pure function on scalars that runs live, on paper, in the demo and in a backtest.

`initial_stop` and `advance_stop` use nothing but their arguments, so that numba compiles them as they stand.
All prices are float64, in quote per asset.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


def initial_stop(entry: float, atr: float, multiple: float) -> float:
    """Where the stop rests after an entry: `multiple` average true ranges below the entry price."""
    return entry - multiple * atr


def advance_stop(
    price: float, stop: float, high: float, entry: float, atr: float, multiple: float, breakeven: float
) -> tuple[float, float, bool]:
    """One look at the market: the new stop, the new high, and whether `price` hits the stop.

    The high is the highest price seen since entry. Until it clears entry + `breakeven` * atr the stop rests; from
    there on it keeps to breakeven or better, `multiple` * atr below the high.
    Invariants: neither the stop nor the high ever falls.
    """
    new_high = max(high, price)
    new_stop = stop
    if new_high > entry + breakeven * atr:
        new_stop = max(stop, max(entry, new_high - multiple * atr))
    return new_stop, new_high, price <= new_stop


class StopStep(NamedTuple):
    """What one price does to a stop."""

    price: float
    stop: float
    high: float
    hit: bool
    """Whether `price` hits the stop."""


@dataclass(frozen=True)
class StopRule:
    """The rule with its two parameters, both in average true ranges."""

    atr_multiple: float
    """How far below the entry, and later below the high, the stop lies."""
    breakeven_atr: float
    """The rise above the entry from which on the stop moves."""

    def initial_stop(self, entry: float, atr: float) -> float:
        """Where the stop rests after an entry."""
        return initial_stop(entry, atr, self.atr_multiple)

    def advance_over(
        self, prices: Iterable[float], stop: float, high: float, entry: float, atr: float
    ) -> Iterator[StopStep]:
        """One step for each price in turn, up to the one that hits the stop: there the position is sold."""
        for price in prices:
            stop, high, hit = advance_stop(price, stop, high, entry, atr, self.atr_multiple, self.breakeven_atr)
            yield StopStep(price, stop, high, hit)
            if hit:
                return
