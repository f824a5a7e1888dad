"""Invented histories for backtests and replays: random walks with all that a market may do, the same for each seed."""

import math
from collections.abc import Callable
from random import Random

from botctl.domain.candles import CandleColumns
from botctl.domain.sentiment import SentimentHistory

BEGIN = 1_600_000_200 - 1_600_000_200 % 86_400
"""The midnight at which the first candle opens."""
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
    price leaps between two candles, and how often a stretch of candles is missing; it begins `later` candles late."""
    dice = Random(seed)
    rows: list[tuple[float, ...]] = []
    lost, floor = 0, 10.0**-decimals
    for at in range(count):
        leap = dice.gauss(0, 6 * volatility) if dice.random() < jumps else dice.gauss(0, volatility / 8)
        opened = max(round(price * math.exp(leap), decimals), floor)
        steps = [dice.gauss(drift(at) / 4, volatility / 2) for _ in range(4)]
        path = [opened]
        for step in steps:
            path.append(max(round(path[-1] * math.exp(step), decimals), floor))
        price = path[-1]
        if lost == 0 and dice.random() < absent:
            lost = dice.choice((1, 1, 2, 3, 5, 9))
        if lost:
            lost -= 1
        else:
            time = BEGIN + (later + at) * seconds
            rows.append((time, opened, max(path), min(path), price, round(dice.uniform(1, 50), 4)))
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    return CandleColumns(symbol=symbol, seconds=seconds, **columns)  # type: ignore[arg-type]


def seasons(*trends: float, each: int) -> Callable[[int], float]:
    """A drift that changes every `each` candles."""
    return lambda at: trends[at // each % len(trends)]


def draw_moods(seed: int, seconds: int, *, every: int = DAY) -> SentimentHistory:
    """Readings for so long, some of them left out for so long that the last one is not trusted any more."""
    dice = Random(seed)
    kept = [number for number in range(-2, seconds // every + 1) if number % 30 not in range(11, 21)]
    return SentimentHistory([BEGIN + number * every for number in kept], [dice.choice(INDICES) for _ in kept])
