"""The stop rule: one pure function on scalars that runs live, on paper, in the demo and in a backtest.

This module imports nothing that numba could not compile; `advance_stop` compiles as it stands.
All prices are float64, in quote per asset.
"""


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
