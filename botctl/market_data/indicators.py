"""ATR, EMA and RSI of a run's closed candles.

The arithmetic is that of `domain.indicators`, as in a backtest. The results equal those of pandas-ta with
`talib=False` to the last digits, without half a second to load it; the tests compare the two.
"""

import math
from collections.abc import Sequence

from botctl.domain.candles import Candle
from botctl.domain.decisions import RSI_CEILING
from botctl.domain.errors import Refused
from botctl.domain.indicators import calculate_indicators, candles_needed, relative_strength

EMA_FAST, EMA_SLOW, RSI_PERIOD = 12, 26, 14
"""The technical agent's periods, in candles."""


def calculate_atr(candles: Sequence[Candle], period: int) -> float:
    """Wilder's average true range of closed candles, in quote per asset.

    Raises Refused with fewer than `candles_needed`, or when the ATR is not usable for a stop.
    """
    needed = candles_needed(period)
    if len(candles) < needed:
        raise Refused(f"{len(candles)} closed candles are too few for an ATR({period})", hint=f"{needed} are needed")
    atr = _calculate_last(candles, period)[1]
    if not 0 < atr < math.inf or atr < 1e-9 * candles[-1].close:
        raise Refused(f"the ATR({period}) of these candles is {atr:g}, which is not usable for a stop")
    return atr


def calculate_trend(candles: Sequence[Candle]) -> tuple[int, float, float, float]:
    """The technical opinion of the last candle, and the EMA(12), EMA(26) and RSI(14) behind it.

    With too few candles these are NaN, and the opinion is UNKNOWN.
    """
    opinion, _, fast, slow, gain, loss = _calculate_last(candles, RSI_PERIOD)
    return opinion, fast, slow, relative_strength(gain, loss)


def _calculate_last(candles: Sequence[Candle], atr_period: int) -> tuple[int, float, float, float, float, float]:
    """Of the last candle: the technical opinion, the ATR, both EMAs, average gain and average loss."""
    highs, lows, closes = ([float(candle[column]) for candle in candles] for column in (2, 3, 4))
    opinions, atrs = [0] * len(closes), [math.nan] * len(closes)
    averages = calculate_indicators(
        highs, lows, closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, opinions, atrs
    )
    return opinions[-1], atrs[-1], *averages
