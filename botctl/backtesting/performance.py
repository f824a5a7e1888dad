"""Performance measures, from an equity curve and its trades.

Ratios are of daily returns, annualised by the square root of 365, since these markets never close; the risk-free rate
is taken as zero. Sharpe: mean by standard deviation (W. F. Sharpe, The Sharpe Ratio, 1994). Sortino: mean by the root
mean square of the losing days (F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework,
1994).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from math import nan, sqrt
from typing import Any

DAYS_PER_YEAR = 365
SECONDS_PER_DAY = 86_400


def day_of(time: Any) -> Any:
    """The number of the UTC day of a bar, or of each of an array, by when it closed in whole unix seconds. A bar that
    closes at 24:00 is the last one of its day."""
    return (time - 1) // SECONDS_PER_DAY


def daily_returns(equities: Sequence[float]) -> list[float]:
    return [later / earlier - 1.0 for earlier, later in pairwise(equities) if earlier > 0]


def day_ends(times: Sequence[int], values: Sequence[float]) -> list[float]:
    """The last value of each UTC day, which ends at 24:00; `times` in unix seconds, rising."""
    ends = {day_of(time): value for time, value in zip(times, values, strict=True)}
    return list(ends.values())


def sharpe_ratio(returns: Sequence[float]) -> float | None:
    """Annualised; None with fewer than two days or without any change."""
    if len(returns) < 2:
        return None
    total, squares = 0.0, 0.0
    for change in returns:  # one after another, as `sharpe_of_curve` does: `sum` rounds in another way
        total += change
    mean = total / len(returns)
    for change in returns:
        squares += (change - mean) * (change - mean)
    spread = squares / (len(returns) - 1)
    return mean / sqrt(spread) * sqrt(DAYS_PER_YEAR) if spread > 0 else None


def sortino_ratio(returns: Sequence[float]) -> float | None:
    """Annualised; None with fewer than two days or without a losing one."""
    if len(returns) < 2:
        return None
    mean = sum(returns) / len(returns)
    downside = sqrt(sum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    return mean / downside * sqrt(DAYS_PER_YEAR) if downside > 0 else None


def calculate_max_drawdown(equity: Sequence[float]) -> float:
    """The deepest drawdown, as a fraction of the high before it: 0.2 is twenty percent."""
    high, deepest = equity[0], 0.0
    for worth in equity:
        high = max(high, worth)
        if worth < high * (1.0 - deepest):
            deepest = 1.0 - worth / high
    return deepest


def sharpe_of_curve(equity: Sequence[float], day_ends: Sequence[int], opening: float) -> float:
    """`sharpe_ratio` of a curve whose days end at these bars, to the last digit and without lists; NaN for None."""
    if len(day_ends) < 2:
        return nan
    total, squares, before = 0.0, 0.0, opening
    for number in range(len(day_ends)):
        total += equity[day_ends[number]] / before - 1.0
        before = equity[day_ends[number]]
    mean, before = total / len(day_ends), opening
    for number in range(len(day_ends)):
        change = equity[day_ends[number]] / before - 1.0 - mean
        before = equity[day_ends[number]]
        squares += change * change
    spread = squares / (len(day_ends) - 1)
    return mean / sqrt(spread) * sqrt(DAYS_PER_YEAR) if spread > 0.0 else nan


def return_per_trade(costs: Sequence[Decimal], profits: Sequence[Decimal]) -> Decimal | None:
    """The profits by what the trades cost, both in quote: the mean, each trade by its size. None without trades."""
    cost = sum(costs, Decimal(0))
    return sum(profits, Decimal(0)) / cost if cost else None


def win_rate(pnls: Sequence[Decimal]) -> Decimal | None:
    """The fraction of trades with a profit; None without trades."""
    return Decimal(sum(pnl > 0 for pnl in pnls)) / len(pnls) if pnls else None


def profit_factor(pnls: Iterable[Decimal]) -> Decimal | None:
    """The winners' profits by the losers' losses; None without a loser."""
    profits, losses = Decimal(0), Decimal(0)
    for pnl in pnls:
        if pnl > 0:
            profits += pnl
        else:
            losses -= pnl
    return profits / losses if losses > 0 else None
