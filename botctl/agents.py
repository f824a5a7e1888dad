"""What your own agents import. These names are stable."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from botctl.domain.candles import Candle
from botctl.domain.decisions import Stance, Verdict
from botctl.domain.symbols import Timeframe
from botctl.ports import Agent, Briefing, OpenTrade, SentimentReading

__all__ = ["Agent", "Briefing", "Candle", "OpenTrade", "SentimentReading", "Stance", "Verdict", "briefing_of"]

FIRST_CANDLE = datetime(2025, 1, 1, tzinfo=UTC)


class _Sentiment:
    def __init__(self, index: int | None) -> None:
        self.index = index

    def read(self) -> SentimentReading:
        return SentimentReading(self.index, None, "made up")


def briefing_of(
    closes: Sequence[float],
    *,
    symbol: str = "BTC/USD",
    timeframe: str = "15m",
    index: int | None = None,
    trade: OpenTrade | None = None,
) -> Briefing:
    """A made-up briefing for tests of agents: candles with these closes, each from the close before it, and the Fear &
    Greed index, UNKNOWN without one."""
    seconds, first = Timeframe(timeframe).seconds, int(FIRST_CANDLE.timestamp())
    candles = [
        Candle(first + number * seconds, before, max(before, close), min(before, close), close, 1.0)
        for number, (before, close) in enumerate(zip([*closes[:1], *closes[:-1]], closes, strict=True))
    ]
    now = FIRST_CANDLE + timedelta(seconds=seconds * len(candles))
    return Briefing(symbol, candles, _Sentiment(index), trade, now, timeframe=Timeframe(timeframe))
