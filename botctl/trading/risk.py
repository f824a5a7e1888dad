"""Stop-loss prices from candles."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import Refused
from botctl.domain.stops import StopRule
from botctl.domain.symbols import Timeframe
from botctl.market_data import indicators
from botctl.ports import MarketData


@dataclass
class RiskService:
    market: MarketData
    _: KW_ONLY
    timeframe: Timeframe
    period: int
    rule: StopRule

    def fetch_candles(self, symbol: str) -> list[Candle]:
        """The closed candles for the symbol's ATR. Raises ExchangeUnreachable."""
        return self.market.fetch_candles(symbol, self.timeframe)

    def calculate_atr(self, ohlcv_data: Sequence[Candle]) -> float:
        """The average true range of these candles, in quote. Raises Refused when they are too few."""
        return indicators.calculate_atr(ohlcv_data, self.period)

    def calculate_stop_loss(self, entry_price: Decimal | float, ohlcv_data: Sequence[Candle]) -> float:
        """entry - multiple * ATR, in quote per asset. Raises Refused unless it is above zero and below the entry."""
        atr = self.calculate_atr(ohlcv_data)
        stop = self.rule.initial_stop(float(entry_price), atr)
        if not 0 < stop < float(entry_price):
            distance = f"{self.rule.atr_multiple:g} x {atr:g}"
            raise Refused(f"a stop {distance} below {float(entry_price):g} would never be hit")
        return stop
