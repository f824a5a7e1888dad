"""The technical agent: the trend by EMA and RSI."""

from botctl.domain.decisions import TECHNICAL_STANCES, Stance, Verdict
from botctl.domain.indicators import CANDLES_NEEDED
from botctl.market_data.indicators import calculate_trend
from botctl.ports import Briefing


class TechnicalAgent:
    """EMA(12) over EMA(26) with RSI(14) below 70 is BULLISH, EMA(12) under EMA(26) BEARISH, else NEUTRAL."""

    stances = (Stance.BULLISH, Stance.BEARISH, Stance.NEUTRAL, Stance.UNKNOWN)

    def judge(self, briefing: Briefing) -> Verdict:
        if len(briefing.candles) < CANDLES_NEEDED:
            return Verdict("technical", Stance.UNKNOWN, f"{len(briefing.candles)} candles are too few")
        opinion, fast, slow, rsi = calculate_trend(briefing.candles)
        reason = f"EMA(12) {fast:.6g} {'>' if fast > slow else '<='} EMA(26) {slow:.6g}, RSI(14) {rsi:.1f}"
        return Verdict("technical", TECHNICAL_STANCES[opinion], reason)
