"""ATR, EMA and RSI of closed candles by the arithmetic of a backtest, `domain.indicators`.

A run decides by pandas-ta (`trading.risk`, `trading.council.technical_agent`); a test holds the two together. This
arithmetic counts in a backtest, sweep and replay, in `recover`, and where the two may decide differently.
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
    """Wilder's average true range of closed candles, in quote per asset, as a backtest calculates it.

    Raises Refused with fewer than `candles_needed`, or when the ATR is not usable for a stop.
    """
    check_count(candles, period)
    return check_atr(_calculate_last(candles, period)[1], period, candles[-1].close)


def check_count(candles: Sequence[Candle], period: int) -> None:
    """Raises Refused when the first value of the ATR would still count."""
    needed = candles_needed(period)
    if len(candles) < needed:
        raise Refused(f"{len(candles)} closed candles are too few for an ATR({period})", hint=f"{needed} are needed")


def check_atr(atr: float, period: int, close: float) -> float:
    """`atr` itself. Raises Refused when it is not usable for a stop at the price of the newest close."""
    if not 0 < atr < math.inf or atr < 1e-9 * close:
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
