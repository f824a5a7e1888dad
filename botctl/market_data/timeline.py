"""Aligns the histories of several symbols on one time axis, for a backtest and a replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.candles import CandleColumns, to_unix
from botctl.domain.errors import BadValue
from botctl.domain.indicators import candles_needed
from botctl.domain.symbols import Timeframe, base_of, quote_of
from botctl.market_data.aggregation import aggregate


@dataclass(frozen=True)
class Timeline:
    """One time axis for all symbols."""

    symbols: tuple[str, ...]
    seconds: int
    times: Any
    """When each bar closed, in unix seconds."""
    candle_indexes: Any
    """Per symbol and bar: the index, in the symbol's history, of its newest candle that had closed."""
    first: int
    last: int
    """The bars to trade."""
    signals: tuple[CandleColumns, ...]
    """Per symbol the candles that agents and ATR look at: its own, or those put together from them."""
    signal_indexes: Any
    """Per symbol and bar: the index, in its signals, of the newest candle that had closed."""

    @property
    def signal_seconds(self) -> int:
        """The length of a signal candle."""
        return self.signals[0].seconds

    def bars_without_signal(self, number: int) -> Any:
        """At which bars no signal candle of symbol `number` has closed since the bar before, so that nothing is
        decided. None of them where every candle is a signal candle: then each bar decides."""
        import numpy as np

        if self.signal_seconds == self.seconds:
            return np.zeros(len(self.times), bool)
        return np.diff(self.signal_indexes[number], prepend=-1) == 0

    def close(self, history: CandleColumns, number: int, bar: int) -> Decimal:
        """The last price of symbol `number` at a bar: the close of its newest closed candle."""
        return _decimal(history.closes[int(self.candle_indexes[number][bar])])

    def next_price(self, history: CandleColumns, number: int, bar: int) -> Decimal:
        """The next price after a bar: the open of the symbol's next candle; after the last one, its close."""
        following = int(self.candle_indexes[number][bar]) + 1
        return _decimal(history.opens[following] if following < len(history.opens) else history.closes[following - 1])


def _decimal(price: float) -> Decimal:
    """The shortest decimal that reads back as this float."""
    return Decimal(repr(float(price)))


def align_histories(
    histories: Sequence[CandleColumns],
    atr_period: int,
    since: datetime | None,
    until: datetime | None,
    signal_seconds: int | None = None,
) -> Timeline:
    """Align histories on one time axis, and find the bars that can be traded in all of them. Raises BadValue.

    Agents and ATR look at candles of `signal_seconds`, by default the histories' own.
    """
    import numpy as np

    _check_compatible(histories)
    seconds = histories[0].seconds
    signals = tuple(aggregate(history, signal_seconds or seconds) for history in histories)
    closed = [np.asarray(history.times, dtype=np.int64) + seconds for history in histories]
    times = closed[0] if len(closed) == 1 else np.unique(np.concatenate(closed))
    indexes = _newest_indexes(closed, times)
    signals_closed = [np.asarray(each.times, dtype=np.int64) + each.seconds for each in signals]
    warm_up = candles_needed(atr_period)
    begin = max(int(own[warm_up - 1]) if len(own) >= warm_up else int(times[-1]) + 1 for own in signals_closed)
    end = min(int(own[-2]) if len(own) > 1 else 0 for own in closed)
    begin = max(begin, to_unix(since)) if since else begin
    end = min(end, to_unix(until)) if until else end
    first, last = int(np.searchsorted(times, begin)), int(np.searchsorted(times, end, side="right")) - 1
    if first > last:
        length = f" of {Timeframe.from_seconds(signal_seconds)}" if signal_seconds else ""
        raise BadValue(
            f"there is nothing to trade in these histories: {warm_up} candles{length} of each warm up the indicators",
            hint="give longer ones, a shorter --signal-timeframe, or other --from and --to",
        )
    symbols = tuple(history.symbol for history in histories)
    signal_indexes = indexes if signals[0].seconds == seconds else _newest_indexes(signals_closed, times)
    return Timeline(symbols, seconds, times, indexes, first, last, signals, signal_indexes)


def _newest_indexes(closed: Sequence[Any], times: Any) -> Any:
    """Per symbol and bar: the index of the newest candle that had closed; -1 before the first."""
    import numpy as np

    return np.stack([np.searchsorted(own, times, side="right") - 1 for own in closed])


def _check_compatible(histories: Sequence[CandleColumns]) -> None:
    if not histories:
        raise BadValue("there is no history to trade", hint="name a file of candles")
    if len({history.seconds for history in histories}) > 1:
        raise BadValue("these histories have candles of different lengths", hint="give files of one timeframe")
    if len({quote_of(history.symbol) for history in histories}) > 1:
        raise BadValue("these histories are in different quote currencies", hint="give files of one")
    if len({base_of(history.symbol) for history in histories}) < len(histories):
        raise BadValue("two of these histories are of one asset", hint="give each asset once")
