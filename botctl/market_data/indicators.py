"""Candles in, indicators out: ATR, EMA and RSI over closed candles only.

The arithmetic is that of `domain.indicators`, which also reads whole histories, so that a backtest sees what a run saw.
It gives pandas-ta's figures with `talib=False` to the last digits, without half a second to load it; the tests compare
the two.
"""

import math
from collections.abc import Sequence

from botctl.domain.candles import Candle
from botctl.domain.decisions import RSI_CEILING
from botctl.domain.errors import Refused
from botctl.domain.indicators import SEED_FADES_AFTER, read_market, relative_strength

EMA_FAST, EMA_SLOW, RSI_PERIOD = 12, 26, 14
"""What the technical agent looks at, in candles."""


def calculate_atr(candles: Sequence[Candle], period: int) -> float:
    """Wilder's average true range of closed candles, in quote per asset.

    Raises Refused with fewer than period + 100 candles, or when the figure can't carry a stop.
    """
    needed = period + SEED_FADES_AFTER
    if len(candles) < needed:
        raise Refused(f"{len(candles)} closed candles are too few for an ATR({period})", hint=f"{needed} are needed")
    atr = _read(candles, period)[1]
    if not 0 < atr < math.inf or atr < 1e-9 * candles[-1].close:
        raise Refused(f"the ATR({period}) of these candles is {atr:g}: no stop can hang from it")
    return atr


def calculate_trend(candles: Sequence[Candle]) -> tuple[int, float, float, float]:
    """The technical opinion of the last candle, with the EMA(12), EMA(26) and RSI(14) that it comes from.

    The figures are NaN, and the opinion UNKNOWN, where the candles don't reach.
    """
    opinion, _, fast, slow, gain, loss = _read(candles, RSI_PERIOD)
    return opinion, fast, slow, relative_strength(gain, loss)


def _read(candles: Sequence[Candle], atr_period: int) -> tuple[int, float, float, float, float, float]:
    """Of the last candle: the technical opinion, the ATR, both EMAs, average gain and average loss."""
    highs, lows, closes = ([float(candle[at]) for candle in candles] for at in (2, 3, 4))
    opinions, atrs = [0] * len(closes), [math.nan] * len(closes)
    figures = read_market(highs, lows, closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, opinions, atrs)
    return opinions[-1], atrs[-1], *figures
