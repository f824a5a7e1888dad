"""Stop-loss prices from candles."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import Refused, as_bot_error
from botctl.domain.stops import StopRule
from botctl.domain.symbols import Timeframe
from botctl.frames import candle_frame, load_pandas_ta
from botctl.market_data import indicators
from botctl.ports import CandleSource


@dataclass
class RiskService:
    market: CandleSource
    _: KW_ONLY
    timeframe: Timeframe
    period: int
    rule: StopRule
    as_backtest: bool = False
    """Whether the ATR is the backtest's to the last bit: so that a price that just touches a stop sells in both."""

    def fetch_candles(self, symbol: str) -> list[Candle]:
        """The closed candles for the symbol's ATR. Raises ExchangeUnreachable."""
        return self.market.fetch_candles(symbol, self.timeframe)

    def calculate_atr(self, ohlcv_data: Sequence[Candle]) -> float:
        """The average true range of these candles by pandas-ta, in quote per asset. Raises Refused when they are too
        few, or when it is not usable for a stop."""
        if self.as_backtest:
            return indicators.calculate_atr(ohlcv_data, self.period)
        indicators.check_count(ohlcv_data, self.period)
        try:
            atr = pandas_ta_atr(ohlcv_data, self.period)
        except Exception as error:
            raise as_bot_error(error) from error  # whatever a library raises, other symbols go on
        return indicators.check_atr(atr, self.period, ohlcv_data[-1].close)

    def calculate_stop_loss(self, entry_price: Decimal | float, ohlcv_data: Sequence[Candle]) -> float:
        """entry - multiple * ATR, in quote per asset. Raises Refused unless it is above zero and below the entry."""
        atr = self.calculate_atr(ohlcv_data)
        stop = self.rule.initial_stop(float(entry_price), atr)
        if not 0 < stop < float(entry_price):
            distance = f"{self.rule.atr_multiple:g} x {atr:g}"
            raise Refused(f"a stop {distance} below {float(entry_price):g} would never be hit")
        return stop


def pandas_ta_atr(candles: Sequence[Candle], period: int) -> float:
    """The newest ATR by pandas-ta; NaN where there is none."""
    pandas_ta = load_pandas_ta()
    frame = candle_frame(candles)
    series = pandas_ta.atr(frame["high"], frame["low"], frame["close"], length=period, talib=False)
    return float("nan") if series is None else float(series.iloc[-1])
