"""The candles of a run: each symbol's are fetched once until its next candle closes."""

from dataclasses import dataclass, field
from datetime import timedelta

from botctl.domain.candles import Candle
from botctl.domain.freshness import is_fresh
from botctl.domain.symbols import Timeframe
from botctl.ports import CandleSource, Clock


@dataclass
class CandleCache:
    """Shared by the Council, the ATR and the checks of prices."""

    source: CandleSource
    clock: Clock
    _fetched: dict[tuple[str, Timeframe], list[Candle]] = field(default_factory=dict, init=False)

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """As the source's. An answer that lacks the newest candle is not kept."""
        kept = self._fetched.get((symbol, timeframe))
        interval = timedelta(seconds=timeframe.seconds)
        if kept and is_fresh(kept[-1].closed_at(timeframe.seconds), self.clock.now(), interval, tolerance=interval):
            return list(kept)
        return self.fetch_again(symbol, timeframe)

    def fetch_again(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """What the source says now."""
        candles = self._fetched[symbol, timeframe] = self.source.fetch_candles(symbol, timeframe)
        return list(candles)
