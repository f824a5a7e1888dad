"""The equity at every bar, its deepest drawdown, and the drawdown guard's floor.

As in a tick, the guard looks before the orders of a bar, and the curve is that after them.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

from botctl.backtesting.tables import Table, unsigned_index


class EquityTracker(NamedTuple):
    """The equity's high, its low since, and the deepest drawdown before, as a fraction: only a new high divides."""

    high: float
    low: float
    deepest: float
    peak: float
    """The highest equity that the drawdown guard has seen, which looks before the orders of each bar."""
    floor: float
    """The guard trips below it."""
    kept: float
    """The floor is at least this fraction of the peak."""


def begin_tracking(cash: float, max_drawdown: float, max_drawdown_peak: float) -> EquityTracker:
    """With `max_drawdown_peak` 1.0 the floor stays that of the start."""
    kept = 1.0 - max_drawdown_peak
    return EquityTracker(cash, cash, 0.0, cash, cash * max(kept, 1.0 - max_drawdown), kept)


def write_equity(
    closes: Table[float],
    held: Sequence[float],
    equity: MutableSequence[float],
    cash: float,
    active: int,
    tracker: EquityTracker,
    at: int,
    event: int,
) -> tuple[int, EquityTracker]:
    """Write the equity of the bars from `at` to before `event`: cash and what is held at its last price.

    Returns the first of these bars below the floor, or `event`. What is written at that bar and after it is not valid
    until its orders are done.
    """
    high, low, deepest, peak, floor, kept = tracker
    pending, begun = active, False
    for symbol in range(len(held)):
        amount = held[symbol]
        if amount == 0.0:
            continue
        pending -= 1
        if pending > 0:
            for bar in range(at, event):
                equity[unsigned_index(bar)] = (equity[unsigned_index(bar)] if begun else cash) + amount * closes[
                    unsigned_index(symbol), unsigned_index(bar)
                ]
            begun = True
            continue
        for bar in range(at, event):  # the last symbol held completes the sum
            worth = (equity[unsigned_index(bar)] if begun else cash) + amount * closes[
                unsigned_index(symbol), unsigned_index(bar)
            ]
            if worth < floor:
                return bar, EquityTracker(high, low, deepest, peak, floor, kept)
            equity[unsigned_index(bar)] = worth
            low = min(low, worth)
            if worth > high:
                deepest = max(deepest, 1.0 - low / high)
                high = low = worth
            if worth > peak:
                peak, floor = worth, max(floor, worth * kept)
    if active == 0 and at < event:
        if cash < floor:
            return at, tracker
        for bar in range(at, event):
            equity[unsigned_index(bar)] = cash
        low = min(low, cash)
        if cash > high:
            deepest = max(deepest, 1.0 - low / high)
            high = low = cash
        if cash > peak:
            peak, floor = cash, max(floor, cash * kept)
    return event, EquityTracker(high, low, deepest, peak, floor, kept)


def look_before_orders(
    closes: Table[float], held: Sequence[float], cash: float, tracker: EquityTracker, bar: int, last: int
) -> tuple[int, EquityTracker]:
    """The guard's look at a bar with orders, before them. Returns the bar if it is below the floor, or `last` + 1."""
    high, low, deepest, peak, floor, kept = tracker
    worth = worth_at(closes, held, cash, bar)
    below = bar if worth < floor else last + 1
    return below, EquityTracker(high, low, deepest, max(peak, worth), max(floor, worth * kept), kept)


def worth_at(closes: Table[float], held: Sequence[float], cash: float, bar: int) -> float:
    """Cash and what is held, at the prices of one bar."""
    for symbol in range(len(held)):
        if held[symbol] > 0.0:
            cash += held[symbol] * closes[symbol, bar]
    return cash


def write_equity_after_orders(
    closes: Table[float],
    held: Sequence[float],
    equity: MutableSequence[float],
    cash: float,
    tracker: EquityTracker,
    bar: int,
    tripped: bool,
) -> EquityTracker:
    """Write the equity of a bar with orders. The guard does not go by it; one that has tripped has no floor."""
    high, low, deepest, peak, floor, kept = tracker
    worth = equity[bar] = worth_at(closes, held, cash, bar)
    low = min(low, worth)
    if worth > high:
        deepest = max(deepest, 1.0 - low / high)
        high = low = worth
    return EquityTracker(high, low, deepest, peak, 0.0 if tripped else floor, 0.0 if tripped else kept)
