"""Closed candles, one at a time and as the columns of a history, and the unix time they are stamped with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, SupportsFloat

KRAKEN_CANDLE_LIMIT = 720
"""Kraken returns at most this many candles, so a run never sees older ones."""


def from_unix(seconds: SupportsFloat) -> datetime:
    """Unix seconds as an aware UTC datetime. Raises ValueError, OverflowError or OSError outside the calendar."""
    return datetime.fromtimestamp(float(seconds), UTC)


def to_unix(moment: datetime) -> int:
    """An aware datetime as whole unix seconds; a fraction of a second is dropped."""
    return int(moment.timestamp())


def newest_boundary(now: datetime, seconds: int) -> int:
    """When the newest candle of `seconds` should have closed, in unix seconds: they end at multiples of their length
    since the epoch, as Kraken's do."""
    return to_unix(now) // seconds * seconds


def is_new_signal(closed: int, decided: int | None, now: datetime) -> bool:
    """Whether the Council sits for the candle that closed at `closed`, where `decided` is that of its last sitting.

    A candle from before that one is an old answer, unless `decided` lies ahead: that was seen by a clock that was
    wrong, and tells nothing but that it is another.
    """
    if decided is None or decided > to_unix(now):
        return closed != decided
    return closed > decided


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
        return from_unix(self.time + seconds)


def check_candle(candle: Candle) -> Candle:
    """`candle` itself. Raises ValueError when its prices contradict each other."""
    prices = candle[1:5]
    if not all(0 < price < float("inf") for price in prices) or candle.low > min(prices) or candle.high < max(prices):
        raise ValueError(f"candle {candle.time} has impossible prices {prices}")
    return candle


@dataclass(frozen=True)
class CandleColumns:
    """A symbol's closed candles as columns, oldest first, maybe with gaps. Prices in quote, volumes in the asset."""

    symbol: str
    seconds: int
    """The length of a candle."""
    times: Sequence[int]
    """When each candle opened, in unix seconds."""
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]
    volumes: Sequence[float]

    @property
    def values(self) -> tuple[Sequence[float], ...]:
        return self.opens, self.highs, self.lows, self.closes, self.volumes

    @property
    def absent(self) -> int:
        """How many candles are absent between the first and the last."""
        return int(self.times[-1] - self.times[0]) // self.seconds + 1 - len(self.times)
