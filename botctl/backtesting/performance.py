"""How well a run did: figures from its equity curve and its trades.

Ratios are of daily returns, annualised by the square root of 365, since these markets never close; the risk-free rate
is taken as zero. Sharpe: mean by standard deviation (W. F. Sharpe, The Sharpe Ratio, 1994). Sortino: mean by the root
mean square of the losing days (F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework,
1994).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from math import nan, sqrt

DAYS_A_YEAR = 365


def daily_returns(equities: Sequence[float]) -> list[float]:
    """From one day's equity to the next, as fractions."""
    return [later / earlier - 1.0 for earlier, later in pairwise(equities) if earlier > 0]


def day_ends(times: Sequence[int], values: Sequence[float]) -> list[float]:
    """The last value of each UTC day; `times` in unix seconds, rising."""
    ends = {time // 86_400: value for time, value in zip(times, values, strict=True)}
    return list(ends.values())


def sharpe_ratio(returns: Sequence[float]) -> float | None:
    """Annualised; None with fewer than two days, or where nothing ever moved."""
    if len(returns) < 2:
        return None
    mean = sum(returns) / len(returns)
    spread = sqrt(sum((one - mean) ** 2 for one in returns) / (len(returns) - 1))
    return mean / spread * sqrt(DAYS_A_YEAR) if spread > 0 else None


def sortino_ratio(returns: Sequence[float]) -> float | None:
    """Annualised; None with fewer than two days, or without a losing one."""
    if len(returns) < 2:
        return None
    mean = sum(returns) / len(returns)
    downside = sqrt(sum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    return mean / downside * sqrt(DAYS_A_YEAR) if downside > 0 else None


def deepest_fall(equity: Sequence[float]) -> float:
    """The largest fall from a high, as a fraction of that high: 0.2 is twenty percent."""
    high, deepest = equity[0], 0.0
    for at in range(len(equity)):
        worth = equity[at]
        high = max(high, worth)
        if worth < high * (1.0 - deepest):
            deepest = 1.0 - worth / high
    return deepest


def steady_ratio(equity: Sequence[float], days: Sequence[int], opening: float) -> float:
    """The Sharpe ratio of an equity curve whose days end at the bars `days`; NaN where there is none.

    The same figure as `sharpe_ratio`'s, in one pass without lists, for those who need thousands of them.
    """
    total, squares, before = 0.0, 0.0, opening
    for number in range(len(days)):
        change = equity[days[number]] / before - 1.0
        before = equity[days[number]]
        total += change
        squares += change * change
    if len(days) < 2:
        return nan
    mean = total / len(days)
    spread = (squares - len(days) * mean * mean) / (len(days) - 1)
    return mean / sqrt(spread) * sqrt(DAYS_A_YEAR) if spread > 1e-18 else nan


def win_rate(pnls: Sequence[Decimal]) -> Decimal | None:
    """The fraction of trades that earned something; None without trades."""
    return Decimal(sum(pnl > 0 for pnl in pnls)) / len(pnls) if pnls else None


def profit_factor(pnls: Iterable[Decimal]) -> Decimal | None:
    """What the winners earned by what the losers lost; None without a loser."""
    won, lost = Decimal(0), Decimal(0)
    for pnl in pnls:
        if pnl > 0:
            won += pnl
        else:
            lost -= pnl
    return won / lost if lost > 0 else None
