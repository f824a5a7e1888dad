"""The market of all comparisons: a seeded random walk with a sentiment for each candle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from botctl.domain.candles import CandleColumns
from botctl.domain.sentiment import SentimentHistory

SECONDS = 900
YEAR = 35_040
"""Candles of a quarter of an hour in a year."""
DAY = 96
INDICES = {1: 25, 2: 75, 3: 50}
"""A Fear & Greed index for each sentiment: fear, greed, neither."""
START = 1_400_000_400


@dataclass(frozen=True)
class Market:
    """Candles, and the sentiment at each as its index in `botctl.domain.sentiment.SENTIMENT_STANCES`."""

    columns: CandleColumns
    sentiments: Any

    @property
    def history(self) -> SentimentHistory:
        """The same as readings of an index, one at the close of each day's first candle."""
        days = range(0, len(self.sentiments), DAY)
        measured = [int(self.columns.times[at]) + SECONDS for at in days]
        return SentimentHistory(measured, [INDICES[int(self.sentiments[at])] for at in days])


def wander(count: int, seed: int = 7) -> Market:
    """`count` candles of a random walk, with a sentiment that changes once a day."""
    chance = np.random.default_rng(seed)
    closes = np.round(20_000 * np.exp(np.cumsum(chance.normal(0, 0.003, count))), 1)
    opens = np.concatenate((closes[:1], closes[:-1]))
    highs = np.round(np.maximum(opens, closes) * (1 + np.abs(chance.normal(0, 0.001, count))), 1)
    lows = np.round(np.minimum(opens, closes) * (1 - np.abs(chance.normal(0, 0.001, count))), 1)
    volumes = np.round(chance.uniform(1, 50, count), 4)
    times = START + SECONDS * np.arange(count, dtype=np.int64)
    days = chance.choice(np.array([1, 1, 2, 3], np.int8), count // DAY + 1)
    sentiments = np.repeat(days, DAY)[:count].copy()
    return Market(CandleColumns("BTC/USD", SECONDS, times, opens, highs, lows, closes, volumes), sentiments)


def write_csv(market: Market, path: Path) -> None:
    """Writes the candles as a CSV file with a header."""
    columns = market.columns
    rows = zip(columns.times, columns.opens, columns.highs, columns.lows, columns.closes, columns.volumes, strict=True)
    with path.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        file.writelines(f"{t},{o:.1f},{h:.1f},{low:.1f},{c:.1f},{v:.4f}\n" for t, o, h, low, c, v in rows)


def write_arrays(market: Market, path: Path) -> None:
    """Writes the market as arrays for other tools."""
    columns = market.columns
    np.savez(
        path,
        opens=columns.opens,
        highs=columns.highs,
        lows=columns.lows,
        closes=columns.closes,
        sentiments=market.sentiments,
    )
