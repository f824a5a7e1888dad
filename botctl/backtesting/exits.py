"""Where a position ends: at the stop of the rule, at the stop that rests at the exchange, or by the Council.

Plain numbers only: numba compiles these functions unchanged.
"""

from botctl.backtesting.tables import Table, unsigned_index
from botctl.domain.stops import advance_stop, exit_at_resting, initial_stop, resting_trigger

HOLD, BUY, SELL = 0, 1, 2
"""The Council's decisions."""

STILL_OPEN, STOPPED, COUNCIL, DRAWDOWN, RESTING = 0, 1, 2, 3, 4
"""How a trade ended; RESTING: by the stop that rests at the exchange, inside a candle."""
ENDING_COUNT = 5
NO_RESTING_STOP = -1.0
"""The distance of a resting stop where there is none."""

LOTS_PER_UNIT = 1e8
"""Lots, costs and fees have eight decimals, as at the paper broker: whole numbers of lots add up exactly in floats."""
ROUNDING_ERROR = 1e-15
"""The relative error that a product of a few floats may have."""
MAX_FRACTIONAL = 2.0**53
"""From here on every float is a whole number."""


def truncate_to_lot(lots: float) -> float:
    """`lots` without their fraction; a float just below a whole number by rounding error is that number."""
    # Beyond 2 ** 53 a float has no fraction, and a compiled integer would soon overflow.
    lots += min(max(1e-6, lots * ROUNDING_ERROR), 0.05)
    return float(int(lots)) if lots < MAX_FRACTIONAL else lots


def cut_price(price: float) -> float:
    """A price as an order takes it: cut to eight decimals, where a float has more."""
    lots = price * LOTS_PER_UNIT
    return truncate_to_lot(lots) / LOTS_PER_UNIT if lots < MAX_FRACTIONAL else price


def find_exit(
    closes: Table[float],
    fills: Table[float],
    lows: Table[float],
    decisions: Table[int],
    symbol: int,
    entered: int,
    last: int,
    entry: float,
    atr: float,
    multiple: float,
    breakeven: float,
    break_even: float,
    distance: float,
) -> tuple[int, int, float, float, float]:
    """Where a position entered at bar `entered` ends: the bar, how, its stop and high then, and the price of a resting
    stop before slippage where one ends it, else zero.

    It depends on the entry and the exit's own parameters alone, not on cash or other trades. Without an exit up to bar
    `last` the result is `last` + 1 and STILL_OPEN. A stop rests `distance` average true ranges below the rule's, where
    the last bar has put that; `lows` is read only if there is one.
    """
    stop, high = initial_stop(entry, atr, multiple), entry
    for at in range(entered + 1, last + 1):
        if distance >= 0.0 and lows[unsigned_index(symbol), unsigned_index(at)] <= stop:
            trigger = cut_price(resting_trigger(stop, atr, distance))
            opened = fills[unsigned_index(symbol), unsigned_index(at - 1)]
            bid = exit_at_resting(trigger, opened, lows[unsigned_index(symbol), unsigned_index(at)])
            if bid > 0.0:
                return at, RESTING, stop, high, bid
        close = closes[unsigned_index(symbol), unsigned_index(at)]
        stop, high, hit = advance_stop(close, stop, high, entry, atr, multiple, breakeven, break_even)
        if hit:
            return at, STOPPED, stop, high, 0.0
        if decisions[unsigned_index(symbol), unsigned_index(at)] == SELL:
            return at, COUNCIL, stop, high, 0.0
    return last + 1, STILL_OPEN, stop, high, 0.0
