"""Candles in, indicators out: ATR, EMA and RSI from pandas-ta, over closed candles only.

TA-Lib is kept out (`talib=False`): where it happens to be installed the first values differ.
"""

import math
from collections.abc import Sequence

from botctl.domain.candles import Candle
from botctl.domain.errors import Refused

SEED_FADES_AFTER = 100
"""Wilder's average still feels its first value for so many candles beyond its period."""


def calculate_atr(candles: Sequence[Candle], period: int) -> float:
    """Wilder's average true range of closed candles, in quote per asset.

    Raises Refused with fewer than period + 100 candles, or when the figure can't carry a stop.
    """
    needed = period + SEED_FADES_AFTER
    if len(candles) < needed:
        raise Refused(f"{len(candles)} closed candles are too few for an ATR({period})", hint=f"{needed} are needed")
    import pandas as pd
    import pandas_ta

    columns = {name: pd.Series([float(candle[at]) for candle in candles]) for name, at in COLUMNS.items()}
    series = pandas_ta.atr(columns["high"], columns["low"], columns["close"], length=period, talib=False)
    atr = math.nan if series is None else float(series.iloc[-1])
    if not 0 < atr < math.inf or atr < 1e-9 * float(candles[-1][COLUMNS["close"]]):
        raise Refused(f"the ATR({period}) of these candles is {atr:g}: no stop can hang from it")
    return atr


COLUMNS = {"high": 2, "low": 3, "close": 4}


def calculate_trend(candles: Sequence[Candle], fast: int = 12, slow: int = 26, rsi: int = 14) -> tuple[float, ...]:
    """EMA(fast), EMA(slow) and RSI of the last close; NaN where the candles don't reach."""
    import pandas as pd
    import pandas_ta

    closes = pd.Series([candle.close for candle in candles], dtype=float)
    series = (
        pandas_ta.ema(closes, length=fast, talib=False),
        pandas_ta.ema(closes, length=slow, talib=False),
        pandas_ta.rsi(closes, length=rsi, talib=False),
    )
    return tuple(math.nan if one is None else float(one.iloc[-1]) for one in series)
