"""Histories played as a live market: prices, candles, sentiment and time, one bar further with each tick."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import KRAKEN_CANDLE_LIMIT, Candle, CandleColumns, from_unix, to_unix
from botctl.domain.errors import ConfigError
from botctl.domain.indicators import CANDLES_NEEDED
from botctl.domain.markets import Market, Quote, Quotes, market_of
from botctl.domain.money import floor_to
from botctl.domain.sentiment import MAX_READING_AGE, SentimentSeries
from botctl.domain.symbols import Timeframe, base_of, quote_of
from botctl.market_data.aggregation import aggregate
from botctl.market_data.timeline import Timeline
from botctl.ports import SentimentReading


class SimulatedMarket:
    """A market, a clock and a sentiment source in one; orders fill at the next bar's price, as in a backtest."""

    def __init__(
        self,
        histories: Sequence[CandleColumns],
        timeline: Timeline,
        sentiment: SentimentSeries,
        *,
        name: str = "the replay",
        markets: Mapping[str, Market] | None = None,
        half_spread: Decimal = Decimal(0),
        last_bar: int | None = None,
        save_bar: Callable[[int], None] | None = None,
    ) -> None:
        """`half_spread` is a fraction of the price. An earlier run played `last_bar`; `save_bar` stores each bar."""
        self._timeline = timeline
        self._sentiment = sentiment
        self._name = name
        self._markets = markets or {symbol: _free_market(symbol) for symbol in timeline.symbols}
        self._half_spread = half_spread
        self._bar = timeline.first - 1 if last_bar is None else last_bar
        self._save_bar = save_bar
        self._histories = dict(zip(timeline.symbols, histories, strict=True))
        self._numbers = {symbol: number for number, symbol in enumerate(timeline.symbols)}
        self._windows: dict[tuple[str, int], _Window] = {}

    # As a clock

    def now(self) -> datetime:
        """When the newest bar closed."""
        return from_unix(self._timeline.times[self._bar])

    def sleep(self, seconds: float) -> None:
        """Does nothing: time only moves with ticks."""

    def start_tick(self) -> bool:
        """Move on by one bar; False at the end."""
        if self._bar >= self._timeline.last:
            return False
        self._bar += 1
        if self._save_bar is not None:
            self._save_bar(self._bar)
        return True

    # As a market

    def load_markets(self) -> Mapping[str, Market]:
        return self._markets

    def find_market(self, symbol: str) -> Market:
        return market_of(self._markets, symbol)

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """The newest close is the last price; bid and ask are on either side of the next one."""
        good, bad = {}, {}
        for symbol in symbols:
            if symbol not in self._numbers:
                bad[symbol] = f"is not in {self._name}"
                continue
            history, number = self._histories[symbol], self._numbers[symbol]
            last = self._timeline.close(history, number, self._bar)
            following = self._timeline.next_price(history, number, self._bar)
            bid, ask = self._shift(symbol, following, -1), self._shift(symbol, following, 1)
            good[symbol] = Quote(symbol, last, bid, ask, self.now(), from_history=True)
        return Quotes(good, bad)

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Does nothing: the prices are in memory."""

    def count_requests(self) -> int:
        return 0

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """The newest 720 closed candles, of the histories' own timeframe or put together from them."""
        if symbol not in self._numbers or timeframe.seconds % self._timeline.seconds:
            available = Timeframe.from_seconds(self._timeline.seconds)
            raise ConfigError(
                f"no {timeframe} candles of {symbol} in {self._name}", hint=f"it has only {available} ones, and longer"
            )
        key = symbol, timeframe.seconds
        if key not in self._windows:
            self._windows[key] = _Window(self._signals(symbol, timeframe))
        return self._windows[key].up_to(to_unix(self.now()))

    def _signals(self, symbol: str, timeframe: Timeframe) -> CandleColumns:
        history = self._histories[symbol]
        signals = aggregate(history, timeframe.seconds)
        if signals is not history and (count := len(signals.times)) < CANDLES_NEEDED:
            raise ConfigError(
                f"{self._name} has only {count} candles of {timeframe}, and agents and ATR need {CANDLES_NEEDED}",
                hint="set a shorter SIGNAL_TIMEFRAME",
            )
        return signals

    def fetch_running_candle(self, symbol: str, timeframe: Timeframe) -> Candle:
        """The newest closed one: prices only move when a candle closes."""
        return self.fetch_candles(symbol, timeframe)[-1]

    def history(self, symbol: str) -> CandleColumns | None:
        """All candles that have closed so far; None for an unknown symbol."""
        if symbol not in self._numbers:
            return None
        history = self._histories[symbol]
        closed = slice(self._newest(symbol) + 1)
        columns = (column[closed] for column in history.values)
        return CandleColumns(symbol, history.seconds, history.times[closed], *columns)

    # As a sentiment source

    def read(self) -> SentimentReading:
        """The Fear & Greed index as it was known at this bar."""
        reading = self._sentiment.reading_at(self.now().timestamp())
        if reading is None:
            hours = MAX_READING_AGE // timedelta(hours=1)
            return SentimentReading(None, None, f"the history has no reading of the last {hours} hours")
        return SentimentReading(reading[0], from_unix(reading[1]), "from the history")

    def _newest(self, symbol: str) -> int:
        return int(self._timeline.candle_indexes[self._numbers[symbol]][self._bar])

    def _shift(self, symbol: str, price: Decimal, direction: int) -> Decimal:
        if not self._half_spread:
            return price  # with all its digits: a history may be finer than the market's price decimals
        return floor_to(price * (1 + direction * self._half_spread), self._markets[symbol].price_decimals)


class _Window:
    """The newest candles of one history: each Candle is created once."""

    def __init__(self, history: CandleColumns) -> None:
        self._history = history
        self._candles: list[Candle] = []
        self._end = 0

    def up_to(self, now: int) -> list[Candle]:
        """Those that have closed by then, which must not be earlier than at the call before."""
        newest = bisect_right(self._history.times, now - self._history.seconds) - 1
        first = max(self._end, newest + 1 - KRAKEN_CANDLE_LIMIT)
        if first <= newest:
            new = slice(first, newest + 1)
            columns = (map(float, column[new]) for column in self._history.values)
            rows = zip(map(int, self._history.times[new]), *columns, strict=True)
            self._candles = [*self._candles, *(Candle(*row) for row in rows)][-KRAKEN_CANDLE_LIMIT:]
            self._end = newest + 1
        return list(self._candles)


def _free_market(symbol: str) -> Market:
    """A market without order minimums: any amount of eight decimals can be traded."""
    base, quote = base_of(symbol), quote_of(symbol)
    return Market(symbol, base, quote, symbol, 8, 8, min_amount=Decimal("1e-8"), min_cost=Decimal(0))
