"""Closed candles, one at a time and as the columns of a history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, SupportsFloat

KRAKEN_CANDLE_LIMIT = 720
"""As many candles as Kraken shows, so a run knows no older ones."""


class Candle(NamedTuple):
    """A closed OHLCV row. Prices in quote per asset, volume in the asset."""

    time: int
    """When the candle opened, in unix seconds."""
    open: float
    high: float
    low: float
    close: float
    volume: float

    def closed_at(self, seconds: int) -> datetime:
        """When a candle of this length closed."""
        return from_unix(self.time + seconds)


@dataclass(frozen=True)
class CandleColumns:
    """A history of closed candles of one symbol as columns, oldest first.

    `times` are when the candles opened, in unix seconds; prices in quote per asset, volumes in the asset. A candle
    that is absent (nothing traded, nothing recorded) is simply not there.
    """

    symbol: str
    seconds: int
    """The length of a candle."""
    times: Sequence[int]
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]
    volumes: Sequence[float]

    @property
    def absent(self) -> int:
        """How many candles between the first and the last are not there."""
        return int(self.times[-1] - self.times[0]) // self.seconds + 1 - len(self.times)


def check_candle(candle: Candle) -> Candle:
    """`candle` itself, or ValueError when its figures can't be those of a market."""
    prices = candle[1:5]
    if not all(0 < price < float("inf") for price in prices) or candle.low > min(prices) or candle.high < max(prices):
        raise ValueError(f"candle {candle.time} is not one: {prices}")
    return candle


def from_unix(seconds: SupportsFloat) -> datetime:
    """The moment, aware, UTC. Raises ValueError, OverflowError or OSError for one that no calendar has."""
    return datetime.fromtimestamp(float(seconds), UTC)


def to_unix(moment: datetime) -> int:
    """The whole unix seconds of an aware moment; a fraction of a second is left off."""
    return int(moment.timestamp())
