"""Histories played as a market: prices, candles, mood and time, one bar further with each visit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import KRAKEN_CANDLE_LIMIT, Candle, CandleColumns, from_unix
from botctl.domain.errors import ConfigError
from botctl.domain.markets import Market, Quote, Quotes
from botctl.domain.money import floor_to
from botctl.domain.sentiment import TRUSTED_FOR, SentimentSeries
from botctl.domain.symbols import Timeframe, base_of, quote_of
from botctl.market_data.timeline import Timeline
from botctl.ports import SentimentReading


class SimulatedMarket:
    """A market, a clock and a mood in one. It begins before the grid's first bar, and ends with its last.

    At each bar the newest close is the last price, and an order is filled at the next price, as in a backtest.
    """

    def __init__(
        self,
        histories: Sequence[CandleColumns],
        grid: Timeline,
        sentiment: SentimentSeries,
        *,
        name: str = "the replay",
        markets: Mapping[str, Market] | None = None,
        half_spread: Decimal = Decimal(0),
        start: int | None = None,
        keep: Callable[[int], None] | None = None,
    ) -> None:
        """`half_spread` puts bid and ask, as a fraction, on either side of the next price. `start` is the bar that
        was played last, and `keep` is told each one that is played."""
        self._grid = grid
        self._sentiment = sentiment
        self._name = name
        self._markets = markets if markets is not None else {symbol: _free_market(symbol) for symbol in grid.symbols}
        self._half_spread = half_spread
        self._bar = grid.first - 1 if start is None else start
        self._keep = keep
        self._histories = dict(zip(grid.symbols, histories, strict=True))
        self._numbers = {symbol: number for number, symbol in enumerate(grid.symbols)}
        self._windows = {history.symbol: _Window(history) for history in histories}

    # As a clock

    def now(self) -> datetime:
        """When the newest bar closed."""
        return from_unix(self._grid.times[self._bar])

    def sleep(self, seconds: float) -> None:
        """The tape stands still between two ticks."""

    def start_tick(self) -> bool:
        """One bar further; False at the end of the tape."""
        if self._bar >= self._grid.last:
            return False
        self._bar += 1
        if self._keep is not None:
            self._keep(self._bar)
        return True

    # As a market

    def load_markets(self) -> Mapping[str, Market]:
        return self._markets

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """The newest close is the last price; bid and ask lie around the next one."""
        good, bad = {}, {}
        for symbol in symbols:
            if symbol not in self._numbers:
                bad[symbol] = f"is not on {self._name}"
                continue
            history, number = self._histories[symbol], self._numbers[symbol]
            last = self._grid.close(history, number, self._bar)
            following = self._grid.next_price(history, number, self._bar)
            bid, ask = self._beside(symbol, following, -1), self._beside(symbol, following, 1)
            good[symbol] = Quote(symbol, last, bid, ask, self.now())
        return Quotes(good, bad)

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Nothing to do: the prices are at hand."""

    def count_requests(self) -> int:
        return 0

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """The newest 720 closed candles, of the one timeframe that the histories have."""
        if symbol not in self._numbers or timeframe.seconds != self._grid.seconds:
            there = Timeframe.from_seconds(self._grid.seconds)
            raise ConfigError(f"{self._name} has no {timeframe} candles of {symbol}", hint=f"it has {there} ones only")
        return self._windows[symbol].upto(int(self._grid.places[self._numbers[symbol]][self._bar]))

    def history(self, symbol: str) -> CandleColumns | None:
        """Every candle that has closed so far; None for a symbol that is not on the tape."""
        if symbol not in self._numbers:
            return None
        history = self._histories[symbol]
        until = int(self._grid.places[self._numbers[symbol]][self._bar]) + 1
        return replace(
            history,
            times=history.times[:until],
            opens=history.opens[:until],
            highs=history.highs[:until],
            lows=history.lows[:until],
            closes=history.closes[:until],
            volumes=history.volumes[:until],
        )

    # As a mood

    def read(self) -> SentimentReading:
        """The Fear & Greed index as it was known at this bar."""
        known = self._sentiment.known_at(self.now().timestamp())
        if known is None:
            return SentimentReading(
                None, None, f"no reading of the last {TRUSTED_FOR // timedelta(hours=1)} hours on the tape"
            )
        return SentimentReading(known[0], from_unix(known[1]), "on the tape")

    def _beside(self, symbol: str, price: Decimal, direction: int) -> Decimal:
        if not self._half_spread:
            return price  # to its last digit: a history may be finer than any market's price decimals
        return floor_to(price * (1 + direction * self._half_spread), self._markets[symbol].price_decimals)


class _Window:
    """The newest candles of one history, moved on with time: each candle is made once."""

    def __init__(self, history: CandleColumns) -> None:
        self._history = history
        self._candles: list[Candle] = []
        self._end = 0

    def upto(self, place: int) -> list[Candle]:
        """The candles that end with the one at `place`."""
        first = max(self._end, place + 1 - KRAKEN_CANDLE_LIMIT)
        if first <= place:
            kept, self._end = self._history, place + 1
            columns = (kept.opens, kept.highs, kept.lows, kept.closes, kept.volumes)
            figures = zip(*(map(float, column[first : self._end]) for column in columns), strict=True)
            opened = map(int, kept.times[first : self._end])
            made = [Candle(time, *figure) for time, figure in zip(opened, figures, strict=True)]
            self._candles = [*self._candles, *made][-KRAKEN_CANDLE_LIMIT:]
        return list(self._candles)


def _free_market(symbol: str) -> Market:
    """A market of a history, which knows no order minimums: any amount of eight decimals trades."""
    return Market(
        symbol=symbol,
        base=base_of(symbol),
        quote=quote_of(symbol),
        exchange_id=symbol,
        lot_decimals=8,
        price_decimals=8,
        min_amount=Decimal("1e-8"),
        min_cost=Decimal(0),
    )
