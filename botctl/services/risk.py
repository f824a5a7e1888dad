"""Candles in, stop out."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import Refused
from botctl.domain.stops import initial_stop
from botctl.domain.symbols import Timeframe
from botctl.market.indicators import calculate_atr
from botctl.ports import MarketData


class RiskService:
    """Knows how far below an entry its stop must lie."""

    def __init__(self, market: MarketData, *, timeframe: Timeframe, period: int, multiple: float) -> None:
        self.market = market
        self.timeframe = timeframe
        self.period = period
        self.multiple = multiple

    def fetch_atr(self, symbol: str) -> float:
        """ATR of the symbol's closed candles now. Raises ExchangeUnreachable, or Refused when they are too few."""
        return calculate_atr(self.market.fetch_candles(symbol, self.timeframe), self.period)

    def calculate_stop_loss(self, entry_price: Decimal | float, ohlcv_data: Sequence[Candle]) -> float:
        """entry - multiple * ATR, in quote per asset. Raises Refused when there is no such stop above zero."""
        return self.stop_for(entry_price, calculate_atr(ohlcv_data, self.period))

    def stop_for(self, entry_price: Decimal | float, atr: float) -> float:
        """The stop of an entry whose ATR is known. Raises Refused when it would not lie above zero."""
        stop = initial_stop(float(entry_price), atr, self.multiple)
        if not 0 < stop < float(entry_price):
            raise Refused(f"a stop {self.multiple:g} x {atr:g} below {float(entry_price):g} would never be hit")
        return stop
