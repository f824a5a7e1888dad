"""Synthetic histories for backtests and replays: random walks with trends, jumps and gaps, reproducible by seed."""

import math
from collections.abc import Callable
from random import Random

from botctl.domain.candles import CandleColumns
from botctl.domain.sentiment import SentimentHistory

BEGIN = 1_600_000_200 - 1_600_000_200 % 86_400
"""The first candle opens at this midnight."""
DAY = 86_400
INDICES = (20, 30, 45, 46, 47, 50, 54, 55, 60, 80)
COLUMNS = ("times", "opens", "highs", "lows", "closes", "volumes")


def draw_history(
    seed: int,
    count: int,
    *,
    symbol: str = "BTC/USD",
    seconds: int = 900,
    price: float = 30_000.0,
    decimals: int = 1,
    volatility: float = 0.004,
    drift: Callable[[int], float] = lambda _at: 0.0,
    jumps: float = 0.01,
    absent: float = 0.0,
    later: int = 0,
) -> CandleColumns:
    """A random walk of `count` candles. `drift` is the trend at each candle, `jumps` and `absent` are how often the
    price jumps between two candles, and how often candles are missing; the history begins `later` candles late."""
    rng = Random(seed)
    rows: list[tuple[float, ...]] = []
    lost, floor = 0, 10.0**-decimals
    for at in range(count):
        leap = rng.gauss(0, 6 * volatility) if rng.random() < jumps else rng.gauss(0, volatility / 8)
        opened = max(round(price * math.exp(leap), decimals), floor)
        steps = [rng.gauss(drift(at) / 4, volatility / 2) for _ in range(4)]
        path = [opened]
        for step in steps:
            path.append(max(round(path[-1] * math.exp(step), decimals), floor))
        price = path[-1]
        if lost == 0 and rng.random() < absent:
            lost = rng.choice((1, 1, 2, 3, 5, 9))
        if lost:
            lost -= 1
        else:
            time = BEGIN + (later + at) * seconds
            rows.append((time, opened, max(path), min(path), price, round(rng.uniform(1, 50), 4)))
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    return CandleColumns(symbol=symbol, seconds=seconds, **columns)  # type: ignore[arg-type]


def seasons(*trends: float, each: int) -> Callable[[int], float]:
    """A drift that changes every `each` candles."""
    return lambda at: trends[at // each % len(trends)]


def draw_sentiment(seed: int, seconds: int, *, every: int = DAY) -> SentimentHistory:
    """Readings over so many seconds, with gaps that are long enough for the last reading to expire."""
    rng = Random(seed)
    numbers = [number for number in range(-2, seconds // every + 1) if number % 30 not in range(11, 21)]
    return SentimentHistory([BEGIN + number * every for number in numbers], [rng.choice(INDICES) for _ in numbers])
