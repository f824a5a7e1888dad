"""What a run of the bot sees of a history: the newest candles that the exchange returns, and none before them.

A backtest calculates over the whole history at once. Here that is made what it is over the newest candles alone.
"""

from typing import TYPE_CHECKING, Any

from botctl.domain.candles import KRAKEN_CANDLE_LIMIT
from botctl.domain.indicators import UNKNOWN

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

NEGLIGIBLE_WEIGHT = 1e-20
"""A weight that changes no float, even where the range of a candle was many times another's."""
WINDOWS_AT_ONCE = 8192
"""Few enough to fit into the processor's cache."""


def forget_old_moves(opinions: "Array", closes: "Array") -> None:
    """Make the opinion UNKNOWN where the closes that a run is given are all the same: there is no RSI of them."""
    import numpy as np

    begins = np.append(0, np.flatnonzero(np.diff(closes)) + 1)
    ends = np.append(begins[1:], len(closes))
    standing = ends - begins >= KRAKEN_CANDLE_LIMIT
    for begin, end in zip(begins[standing].tolist(), ends[standing].tolist(), strict=True):
        opinions[begin + KRAKEN_CANDLE_LIMIT - 1 : end] = UNKNOWN


def atrs_of_windows(atrs: "Array", highs: "Array", lows: "Array", closes: "Array", *, period: int) -> "Array":
    """The ATRs as a run calculates them, whose average starts at the oldest candle that it is given: to the last digit.

    The start keeps a weight in a long average, so each one is calculated from its own candles, many at once.
    """
    import numpy as np

    weight = (1.0 - 1.0 / period) ** (KRAKEN_CANDLE_LIMIT - period)
    if weight < NEGLIGIBLE_WEIGHT or len(atrs) <= KRAKEN_CANDLE_LIMIT:
        return atrs
    before = np.concatenate((closes[:1], closes[:-1]))
    ranges, firsts = np.maximum(highs, before) - np.minimum(lows, before), highs - lows
    exact = atrs.copy()
    for begin in range(KRAKEN_CANDLE_LIMIT, len(atrs), WINDOWS_AT_ONCE):
        end = min(begin + WINDOWS_AT_ONCE, len(atrs))
        oldest = begin + 1 - KRAKEN_CANDLE_LIMIT
        exact[begin:end] = _newest_averages(firsts, ranges, oldest, end - begin, period)
    return exact


def _newest_averages(firsts: "Array", ranges: "Array", oldest: int, count: int, period: int) -> "Array":
    """Wilder's average at the end of `count` windows, the first of which begins at candle `oldest`, in the steps of
    `domain.indicators`: a window begins with its first candle's own range and the mean of its first `period`."""
    average = firsts[oldest : oldest + count].copy()
    for step in range(1, period):
        average += ranges[oldest + step : oldest + step + count]
    average /= period
    weight = 1.0 / period
    for step in range(period, KRAKEN_CANDLE_LIMIT):
        average *= 1.0 - weight
        average += ranges[oldest + step : oldest + step + count] * weight
    return average
