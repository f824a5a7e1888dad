"""The technical agent: the trend by EMA and RSI, as pandas-ta calculates them."""

from typing import TYPE_CHECKING

from botctl.domain.decisions import RSI_CEILING, TECHNICAL_STANCES, Stance, Verdict
from botctl.domain.indicators import CANDLES_NEEDED, may_differ, trend_opinion
from botctl.frames import load_pandas_ta
from botctl.market_data.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD, calculate_trend
from botctl.ports import Briefing

if TYPE_CHECKING:
    from pandas import DataFrame


class TechnicalAgent:
    """EMA(12) over EMA(26) with RSI(14) below 70 is BULLISH, EMA(12) under EMA(26) BEARISH, else NEUTRAL.

    Where pandas-ta and the arithmetic of a backtest may decide differently, the backtest's counts.
    """

    stances = (Stance.BULLISH, Stance.BEARISH, Stance.NEUTRAL, Stance.UNKNOWN)

    def judge(self, briefing: Briefing) -> Verdict:
        if len(briefing.candles) < CANDLES_NEEDED:
            return Verdict("technical", Stance.UNKNOWN, f"{len(briefing.candles)} candles are too few")
        fast, slow, rsi = pandas_ta_trend(briefing.frame())
        opinion = trend_opinion(fast, slow, rsi, RSI_CEILING)
        if may_differ(len(briefing.candles), fast, slow, rsi, RSI_CEILING):
            opinion, fast, slow, rsi = calculate_trend(briefing.candles)
        reason = f"EMA(12) {fast:.6g} {'>' if fast > slow else '<='} EMA(26) {slow:.6g}, RSI(14) {rsi:.1f}"
        return Verdict("technical", TECHNICAL_STANCES[opinion], reason)


def pandas_ta_trend(frame: "DataFrame") -> tuple[float, float, float]:
    """The newest EMA(12), EMA(26) and RSI(14); NaN where there is none."""
    pandas_ta = load_pandas_ta()
    close = frame["close"]
    fast, slow = (pandas_ta.ema(close, length=period, talib=False) for period in (EMA_FAST, EMA_SLOW))
    rsi = pandas_ta.rsi(close, length=RSI_PERIOD, talib=False)
    newest = (float("nan") if series is None else float(series.iloc[-1]) for series in (fast, slow, rsi))
    return next(newest), next(newest), next(newest)
