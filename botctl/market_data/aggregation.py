"""Puts the candles of a history together to longer ones, as Kraken would show them."""

from typing import Any

from botctl.domain.candles import CandleColumns


def aggregate(history: CandleColumns, seconds: int) -> CandleColumns:
    """The candles of `seconds`, a multiple of the history's own length; the history itself where they are as long.

    They open at multiples of their length since the epoch, as Kraken's do. Each is put together from what there is of
    it, because the exchange leaves out empty candles. Those that the history begins in and ends in are left out unless
    their first and their last candle are there.
    """
    import numpy as np

    if seconds == history.seconds:
        return history
    times = np.asarray(history.times, dtype=np.int64)
    opened = times // seconds * seconds
    begin = 0 if times[0] == opened[0] else int(np.searchsorted(opened, opened[0], side="right"))
    ends_in_time = times[-1] + history.seconds == opened[-1] + seconds
    end = len(times) if ends_in_time else int(np.searchsorted(opened, opened[-1]))
    opened = opened[begin:end]
    firsts, lasts = np.flatnonzero(np.diff(opened, prepend=-1)), np.flatnonzero(np.diff(opened, append=-1))
    columns: list[Any] = [np.asarray(column, dtype=float)[begin:end] for column in history.values]
    opens, highs, lows, closes, volumes = columns
    joined: list[Any] = [
        opened[firsts],
        opens[firsts],
        np.maximum.reduceat(highs, firsts),
        np.minimum.reduceat(lows, firsts),
        closes[lasts],
        np.add.reduceat(volumes, firsts),
    ]
    return CandleColumns(history.symbol, seconds, *joined)
