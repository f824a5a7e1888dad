"""What a run of the bot sees of a history: the newest candles that the exchange returns, and none before them.

A backtest calculates over the whole history at once. Here that is made what it is over the newest candles alone.
"""

from typing import TYPE_CHECKING, Any

from botctl.domain.candles import KRAKEN_CANDLE_LIMIT
from botctl.domain.indicators import UNKNOWN

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

NEGLIGIBLE_WEIGHT = 1e-17
"""A weight that changes no float of about one."""


def forget_old_moves(opinions: "Array", closes: "Array") -> None:
    """Make the opinion UNKNOWN where the closes that a run is given are all the same: there is no RSI of them."""
    import numpy as np

    begins = np.append(0, np.flatnonzero(np.diff(closes)) + 1)
    ends = np.append(begins[1:], len(closes))
    standing = ends - begins >= KRAKEN_CANDLE_LIMIT
    for begin, end in zip(begins[standing].tolist(), ends[standing].tolist(), strict=True):
        opinions[begin + KRAKEN_CANDLE_LIMIT - 1 : end] = UNKNOWN


def atrs_of_windows(atrs: "Array", highs: "Array", lows: "Array", closes: "Array", *, period: int) -> "Array":
    """The ATRs as a run calculates them, whose average starts at the oldest candle that it is given.

    The start keeps a weight in a long average. Here and there that weight is the same, so the difference of the two
    starts corrects each average without calculating it again. They may differ in their last digits; the run's counts.
    """
    import numpy as np

    weight = (1.0 - 1.0 / period) ** (KRAKEN_CANDLE_LIMIT - period)
    if weight < NEGLIGIBLE_WEIGHT or len(atrs) <= KRAKEN_CANDLE_LIMIT:
        return atrs
    before = np.concatenate((closes[:1], closes[:-1]))
    ranges = np.maximum(highs, before) - np.minimum(lows, before)
    oldest = slice(1, len(atrs) - KRAKEN_CANDLE_LIMIT + 1)
    begun = slice(period, oldest.stop + period - 1)
    # Each sum on its own: the difference of two sums since the beginning would lose digits.
    sums = np.lib.stride_tricks.sliding_window_view(ranges, period - 1)[2 : oldest.stop + 1].sum(axis=1)
    seeds = (sums + highs[oldest] - lows[oldest]) / period
    corrected = atrs.copy()
    corrected[KRAKEN_CANDLE_LIMIT:] -= weight * (atrs[begun] - seeds)
    return corrected
