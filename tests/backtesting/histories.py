"""Small histories for tests: written by hand, or random walks from a seed."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from botctl.adapters.simulated import SimulatedMarket
from botctl.backtesting.backtest import Backtest
from botctl.backtesting.council.members import is_compiled
from botctl.backtesting.council.seated import SeatedCouncil
from botctl.backtesting.results import BacktestView
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import Settings
from botctl.domain.sentiment import SentimentSeries
from botctl.store.journal import Journal
from botctl.trading.council.master_node import MasterNode
from botctl.trading.council.seats import build_master
from botctl.trading.pre_trade_checks import PreTradeChecks

START = 1_700_000_100 // 900 * 900
STEP = 900


def run_backtest(
    histories: Sequence[CandleColumns],
    settings: Settings,
    sentiment: SentimentSeries,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> BacktestView:
    """By the Council of the settings, whoever sits there."""
    council = None if is_compiled(settings) else SeatedCouncil(settings, build_council)
    return Backtest(histories, settings, sentiment, since=since, until=until, council=council).run().view


def build_council(settings: Settings, market: SimulatedMarket, journal: Journal) -> MasterNode:
    return build_master(settings, market, market, journal, market, cast("PreTradeChecks", None), {}, None)


def history_of(
    rows: Sequence[tuple[float, float, float, float]], symbol: str = "BTC/USD", times: Sequence[int] | None = None
) -> CandleColumns:
    """Candles of 15 minutes from rows of open, high, low and close."""
    opens, highs, lows, closes = ([float(row[at]) for row in rows] for at in range(4))
    times = times or [START + STEP * at for at in range(len(rows))]
    return CandleColumns(symbol, STEP, list(times), opens, highs, lows, closes, [1.0] * len(rows))


def rising(count: int, end: float = 200.0) -> list[tuple[float, float, float, float]]:
    """Up 2 and down 1 in turn, the last close is `end`: bullish without being overbought, with true ranges of 10."""
    closes = [end]
    while len(closes) < count:
        closes.append(closes[-1] + (1 if len(closes) % 2 else -2))
    closes.reverse()
    return [(close, close + 5, close - 5, close) for close in closes]


def walk(seed: int, count: int, symbol: str = "BTC/USD", *, absent: float = 0.0) -> CandleColumns:
    """A random walk with gaps between one close and the next open; a fraction of its candles is absent."""
    dice = random.Random(f"{seed} {symbol}")
    price, rows, times = 100.0, [], []
    for at in range(count):
        opened = price * (1 + dice.gauss(0, 0.002))
        price = opened * (1 + dice.gauss(0.0002, 0.01))
        high = max(opened, price) * (1 + abs(dice.gauss(0, 0.003)))
        low = min(opened, price) * (1 - abs(dice.gauss(0, 0.003)))
        if at in (0, count - 1) or dice.random() >= absent:
            rows.append(tuple(round(figure, 2) for figure in (opened, high + 0.01, low - 0.01, price)))
            times.append(START + STEP * at)
    return history_of(rows, symbol, times)  # type: ignore[arg-type]


def first(history: CandleColumns, count: int) -> CandleColumns:
    """The first candles of a history."""
    columns = (history.times, history.opens, history.highs, history.lows, history.closes, history.volumes)
    return CandleColumns(history.symbol, history.seconds, *(list(column[:count]) for column in columns))
