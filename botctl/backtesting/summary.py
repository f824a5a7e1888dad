"""Summarizes a run over a history: its performance, beside that of buy and hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botctl.backtesting import performance
from botctl.backtesting.answers import best_and_worst, expectancy, group_trades
from botctl.backtesting.results import BacktestTrade, BacktestView, EquityPoint
from botctl.domain.candles import CandleColumns, from_unix, to_unix
from botctl.domain.configuration.settings import DEFAULT_BALANCE, Settings
from botctl.domain.costs import COST_DECIMALS, fill_price
from botctl.domain.money import floor_to
from botctl.domain.orders import Side
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.market_data.timeline import Timeline

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RunOutcome:
    curve: "np.ndarray[Any, Any]"
    """The equity at each traded bar, after the bar's own orders."""
    max_drawdown: float
    trades: list[BacktestTrade]
    tripped_at: datetime | None


def last_bars_of_days(times: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The indexes of the last bar of each UTC day; the last day may be unfinished."""
    import numpy as np

    return np.append(np.flatnonzero(np.diff(performance.day_of(times))), len(times) - 1)


def summarize(
    timeline: Timeline,
    histories: Sequence[CandleColumns],
    settings: Settings,
    sentiment: SentimentSeries,
    outcome: RunOutcome,
) -> BacktestView:
    times, trades = timeline.times[timeline.first : timeline.last + 1], outcome.trades
    days = last_bars_of_days(times)
    initial = settings.initial_balance or DEFAULT_BALANCE
    returns = performance.daily_returns([float(initial), *map(float, outcome.curve[days])])
    pnls = [trade.pnl for trade in trades if trade.pnl is not None]
    final = _final_equity(initial, timeline, histories, trades)
    spans, hold = _spans(timeline, trades), _buy_and_hold(timeline, histories, settings)
    invested = _invested(trades, spans, len(times))
    best, worst = best_and_worst(trades)
    return BacktestView(
        symbols=list(timeline.symbols),
        seconds=timeline.seconds,
        signal_seconds=timeline.signal_seconds,
        since=from_unix(times[0]),
        until=from_unix(times[-1]),
        bars=len(times),
        mood=f"{sentiment.stance} at all times" if isinstance(sentiment, FixedSentiment) else "Fear & Greed history",
        initial_balance=initial,
        equity=final,
        returned=final / initial - 1,
        buy_and_hold=hold,
        max_drawdown=Decimal(repr(float(outcome.max_drawdown))),
        sharpe=performance.sharpe_ratio(returns),
        sortino=performance.sortino_ratio(returns),
        win_rate=performance.win_rate(pnls),
        profit_factor=performance.profit_factor(pnls),
        exposure=_exposure(spans, len(times)),
        fees=sum((trade.entry_fee + (trade.exit_fee or 0) for trade in trades), Decimal(0)),
        expectancy_r=expectancy(trades),
        invested=invested,
        invested_held=floor_to(invested * hold, COST_DECIMALS),
        by_symbol=group_trades(trades, lambda trade: trade.symbol),
        by_exit_reason=group_trades(trades, lambda trade: trade.exit_reason),
        best_trade=best,
        worst_trade=worst,
        tripped_at=outcome.tripped_at,
        trades=trades,
        equity_curve=[EquityPoint(from_unix(times[day]), float(outcome.curve[day])) for day in days],
        exchange_stop_atr=settings.resting_distance,
        absent_candles=sum(history.absent for history in histories),
    )


def _final_equity(
    initial: Decimal, timeline: Timeline, histories: Sequence[CandleColumns], trades: Sequence[BacktestTrade]
) -> Decimal:
    """Cash and what is still held, at the last price; exact."""
    equity = initial
    for trade in trades:
        equity -= trade.entry_cost + trade.entry_fee
        if trade.exit_proceeds is not None and trade.exit_fee is not None:
            equity += trade.exit_proceeds - trade.exit_fee
        else:
            number = timeline.symbols.index(trade.symbol)
            equity += trade.amount * timeline.close(histories[number], number, timeline.last)
    return equity


def _buy_and_hold(timeline: Timeline, histories: Sequence[CandleColumns], settings: Settings) -> Decimal:
    """The return of equal parts of the cash in each symbol, bought at the first bar and never sold."""
    growth = Decimal(0)
    for number, history in enumerate(histories):
        paid = fill_price(Side.BUY, timeline.next_price(history, number, timeline.first), settings.slippage)
        growth += timeline.close(history, number, timeline.last) / (paid * (1 + settings.fee_rate)) / len(histories)
    return growth - 1


def _spans(timeline: Timeline, trades: Sequence[BacktestTrade]) -> list[tuple[int, int]]:
    """Each trade's bars: that of the entry, and that of the exit or the one after the last."""
    import numpy as np

    times = timeline.times[timeline.first : timeline.last + 1]
    # Whole seconds: for a float, numpy would convert all times to floats at every search.
    entries = np.searchsorted(times, [to_unix(trade.entry_time) for trade in trades])
    ends = [to_unix(trade.exit_time) if trade.exit_time else int(times[-1]) + 1 for trade in trades]
    return list(zip(entries.tolist(), np.searchsorted(times, ends).tolist(), strict=True))


def _exposure(spans: Sequence[tuple[int, int]], bars: int) -> Decimal:
    """The fraction of bars with an open position."""
    import numpy as np

    held = np.zeros(bars, bool)
    for begin, end in spans:
        held[begin:end] = True
    return Decimal(int(held.sum())) / bars


def _invested(trades: Sequence[BacktestTrade], spans: Sequence[tuple[int, int]], bars: int) -> Decimal:
    """What the trades that are open at a bar have cost, on average over all bars."""
    costs = (trade.entry_cost * (end - begin) for trade, (begin, end) in zip(trades, spans, strict=True))
    return floor_to(sum(costs, Decimal(0)) / bars, COST_DECIMALS)
