"""The equity over time, and what it would be if nothing had come or gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """`performance` moves as the equity does, and a flow does not change it. The times are unix seconds."""

    times: Sequence[int]
    equity: Sequence[float]
    performance: Sequence[float]
    opening: float = 0.0
    """The equity before the first point; 0 where it is not known."""

    @property
    def has_flows(self) -> bool:
        return self.performance is not self.equity


@dataclass(frozen=True)
class Point:
    """One tick; `drawdown` is the one that the guard measured, None where it was unknown."""

    time: float
    equity: float
    drawdown: float | None


def follow_performance(points: Sequence[Point], flows: Sequence[float], initial: float | None) -> list[float]:
    """The performance at each point, in quote: at the last one it is `initial` less the drawdown.

    Between two points without a flow it changes as the equity, across one as the measured drawdown. So a changed
    INITIAL_BALANCE, which drawdown is measured from anew, is neither a gain nor a loss.
    """
    values: list[float] = []
    worth, known = (points[0].equity if points else 0.0), None
    for number, point in enumerate(points):
        unit = None if point.drawdown is None else 1.0 - point.drawdown
        if number and _flowed(points, number, flows):
            worth = worth if unit is None or known is None else known[0] * unit / known[1]
        elif number and points[number - 1].equity > 0:
            worth *= point.equity / points[number - 1].equity
        if unit is not None and unit > 0:
            known = worth, unit
        values.append(worth)
    if known is None or initial is None:
        return values
    scale = initial * known[1] / known[0] if known[0] > 0 else 1.0
    return [scale * value for value in values]


type Prices = Mapping[str, Sequence[tuple[float, float]]]
"""By symbol, its prices over time, oldest first; the times are unix seconds."""


def follow_holding(times: Sequence[float], opening: float, prices: Prices) -> list[float]:
    """What `opening` is worth at each time, in quote, if equal parts of it buy each symbol at its first price and sell
    nothing. Fees and slippage are left out. A part waits as cash until its symbol has a price."""
    part = opening / len(prices) if prices else opening
    values = [0.0] * len(times) if prices else [opening] * len(times)
    for rows in prices.values():
        bought = last = 0.0
        at = 0
        for number, time in enumerate(times):
            while at < len(rows) and rows[at][0] <= time:
                last = rows[at][1]
                at += 1
            if not bought and last:
                bought = part / last
            values[number] += bought * last if bought else part
    return values


def _flowed(points: Sequence[Point], number: int, flows: Sequence[float]) -> bool:
    """Whether something came or went since the point before. A tick's own flow is later than its start."""
    until = points[number + 1].time if number + 1 < len(points) else float("inf")
    return any(points[number - 1].time <= flow < until for flow in flows)
