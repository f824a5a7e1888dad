"""Histories of several symbols on one line of time, as a backtest and a replay walk along it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.candles import CandleColumns, to_unix
from botctl.domain.errors import BadValue
from botctl.domain.indicators import CANDLES_NEEDED, SEED_FADES_AFTER
from botctl.domain.symbols import base_of, quote_of


@dataclass(frozen=True)
class Timeline:
    """All symbols on one line of time: per symbol and bar the newest candle that had closed."""

    symbols: tuple[str, ...]
    seconds: int
    times: Any
    """When each bar closed, in unix seconds."""
    places: Any
    """Per symbol and bar: the candle's place in its own history."""
    first: int
    last: int
    """The bars to be traded."""

    def close(self, history: CandleColumns, number: int, bar: int) -> Decimal:
        """The last price of symbol `number` at a bar: the close of its newest closed candle."""
        return _decimal(history.closes[int(self.places[number][bar])])

    def next_price(self, history: CandleColumns, number: int, bar: int) -> Decimal:
        """The next price after a bar: the open of the symbol's next candle; behind the last one, its close."""
        following = int(self.places[number][bar]) + 1
        return _decimal(history.opens[following] if following < len(history.opens) else history.closes[following - 1])


def _decimal(price: float) -> Decimal:
    """A price as money counts it: the shortest digits that mean this float."""
    return Decimal(repr(float(price)))


def line_up(
    histories: Sequence[CandleColumns], atr_period: int, since: datetime | None, until: datetime | None
) -> Timeline:
    """Put histories on one line of time, and find the bars that can be traded in all of them."""
    import numpy as np

    _check_together(histories)
    seconds = histories[0].seconds
    closed = [np.asarray(history.times, dtype=np.int64) + seconds for history in histories]
    times = closed[0] if len(closed) == 1 else np.unique(np.concatenate(closed))
    places = np.stack([np.searchsorted(own, times, side="right") - 1 for own in closed])
    warm = max(atr_period + SEED_FADES_AFTER, CANDLES_NEEDED) - 1
    begin = max(int(own[warm]) if len(own) > warm else int(own[-1]) + 1 for own in closed)
    end = min(int(own[-2]) if len(own) > 1 else 0 for own in closed)
    if since:
        begin = max(begin, to_unix(since))
    if until:
        end = min(end, to_unix(until))
    first, last = int(np.searchsorted(times, begin)), int(np.searchsorted(times, end, side="right")) - 1
    if first > last:
        raise BadValue(
            f"there is nothing to trade in these histories: {warm + 1} candles of each warm up the indicators",
            hint="give longer ones, or other --from and --to",
        )
    return Timeline(tuple(history.symbol for history in histories), seconds, times, places, first, last)


def _check_together(histories: Sequence[CandleColumns]) -> None:
    if not histories:
        raise BadValue("there is no history to trade", hint="name a file of candles")
    if len({history.seconds for history in histories}) > 1:
        raise BadValue("these histories have candles of different lengths", hint="give files of one timeframe")
    if len({quote_of(history.symbol) for history in histories}) > 1:
        raise BadValue("these histories are in different quote currencies", hint="give files of one")
    assets = [base_of(history.symbol) for history in histories]
    if len(set(assets)) < len(assets):
        raise BadValue("two of these histories are of one asset", hint="give each asset once")
