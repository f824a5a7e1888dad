"""Answers a trader's questions about finished trades: which symbols and exits earned, and what one trade is worth."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from botctl.backtesting import performance
from botctl.backtesting.results import BacktestTrade, TradeGroup
from botctl.domain.costs import COST_DECIMALS, R_DIGITS
from botctl.domain.money import floor_to


def group_trades(trades: Sequence[BacktestTrade], key: Callable[[BacktestTrade], object]) -> list[TradeGroup]:
    """The closed trades by `key`, the largest group first."""
    groups: dict[str, list[Decimal]] = {}
    for trade in trades:
        if trade.pnl is not None:
            groups.setdefault(str(key(trade)), []).append(trade.pnl)
    found = [_group(name, pnls) for name, pnls in groups.items()]
    return sorted(found, key=lambda group: -group.trades)


def _group(name: str, pnls: Sequence[Decimal]) -> TradeGroup:
    total = sum(pnls, Decimal(0))
    rate = performance.win_rate(pnls) or Decimal(0)
    return TradeGroup(name, len(pnls), rate, floor_to(total / len(pnls), COST_DECIMALS), total)


def expectancy(trades: Sequence[BacktestTrade]) -> Decimal | None:
    """What a closed trade brought on average, in units of what it risked; None without one."""
    multiples = [trade.r_multiple for trade in trades if trade.r_multiple is not None]
    return (sum(multiples, Decimal(0)) / len(multiples)).quantize(R_DIGITS) if multiples else None


def best_and_worst(trades: Sequence[BacktestTrade]) -> tuple[BacktestTrade | None, BacktestTrade | None]:
    """The closed trades with the highest and the lowest P&L, the earlier of equals."""
    closed = [trade for trade in trades if trade.pnl is not None]
    if not closed:
        return None, None
    return max(closed, key=_pnl), min(closed, key=_pnl)


def _pnl(trade: BacktestTrade) -> Decimal:
    return trade.pnl or Decimal(0)
