"""What a backtest answers beside its figures: by symbol and exit, per trade, refused entries, money in the market."""

from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from itertools import groupby

import numpy as np
import pytest

from botctl.backtesting.backtest import Backtest, Run
from botctl.backtesting.exits import BUY
from botctl.domain.candles import to_unix
from botctl.domain.configuration.settings import Settings, parse_settings
from botctl.domain.decisions import Stance
from botctl.domain.sentiment import FixedSentiment
from botctl.domain.stops import covers_costs, initial_stop
from tests.backtesting.test_replay_equals_backtest import several
from tests.quick import parametrize

FEAR = FixedSentiment(Stance.FEAR)


def run_of(**values: str) -> tuple[Run, Settings]:
    settings = parse_settings({"QUOTE_CURRENCY": "USD", "MAX_DRAWDOWN": "0.9", **values})
    return Backtest(several(20, 420), settings, FEAR).run(), settings


def count_bar_by_bar(run: Run, settings: Settings) -> Counter[str]:
    """The reasons from the trades alone, one bar after another, in the order of a tick."""
    times = [int(time) for time in run.timeline.times]
    arrays, limit = run.arrays, settings.max_open_trades
    spans = [
        (trade.symbol, to_unix(trade.entry_time), to_unix(trade.exit_time) if trade.exit_time else times[-1] + 1)
        for trade in run.view.trades
    ]
    counts: Counter[str] = Counter()
    for bar in range(arrays.first, arrays.last + 1):
        now = times[bar]
        for number, symbol in enumerate(run.timeline.symbols):
            own = [(entered, ended) for name, entered, ended in spans if name == symbol and entered <= now]
            if arrays.decisions[number, bar] != BUY or (own and own[-1][1] > now):
                continue
            place = {name: at for at, name in enumerate(run.timeline.symbols)}
            active = [
                name for name, entered, ended in spans
                if ended > now and (entered < now or (entered == now and place[name] < number))
            ]  # fmt: skip
            ask, close, atr = (float(each[number, bar]) for each in (arrays.fills, arrays.closes, arrays.atrs))
            stop = initial_stop(ask, atr, settings.atr_multiple)
            if run.view.tripped_at is not None and now >= to_unix(run.view.tripped_at):
                counts["after_guard"] += 1
            elif own and now - own[-1][1] < 60 * settings.cooldown_minutes:
                counts["cooldown"] += 1
            elif len(active) >= limit:
                counts["no_room"] += 1
            elif not 0 < stop < ask or not covers_costs(ask, stop, float(settings.fee_rate), settings.min_stop_costs):
                counts["no_stop"] += 1
            else:
                counts["no_cash"] += 1
            assert close > 0
    return counts


@parametrize(
    ("settings", "expected"),
    [
        ({"TRADE_AMOUNT_USD": "4000", "MAX_OPEN_TRADES": "2", "MIN_STOP_COSTS": "0.6"}, "cooldown no_room no_stop"),
        ({"TRADE_AMOUNT_USD": "6000", "COOLDOWN_MINUTES": "0", "MAX_DRAWDOWN": "0.05"}, "no_cash after_guard"),
        ({"TRADE_AMOUNT_USD": "100", "EXCHANGE_STOP": "on", "EXCHANGE_STOP_ATR": "0"}, "cooldown"),
    ],
    quick=2,
)
def test_each_buy_that_came_to_nothing_has_its_reason(settings: dict[str, str], expected: str) -> None:
    run, parsed = run_of(**settings)

    counted = count_bar_by_bar(run, parsed)

    assert run.view.refused is not None
    assert {name: count for name, count in asdict(run.view.refused).items() if count} == dict(counted)
    assert set(expected.split()) <= counted.keys()


def test_groups_expectancy_and_extremes_are_of_the_closed_trades() -> None:
    run, _ = run_of()
    view, closed = run.view, [trade for trade in run.view.trades if trade.pnl is not None]

    for groups, key in ((view.by_symbol, "symbol"), (view.by_exit_reason, "exit_reason")):
        found = sorted(closed, key=lambda trade: str(getattr(trade, key)))
        assert len(groups) > 1
        assert [group.trades for group in groups] == sorted((group.trades for group in groups), reverse=True)
        for name, members in groupby(found, key=lambda trade: str(getattr(trade, key))):
            pnls = [trade.pnl or Decimal(0) for trade in members]
            [group] = [group for group in groups if group.name == name]
            assert (group.trades, group.pnl) == (len(pnls), sum(pnls))
            assert group.win_rate == Decimal(sum(pnl > 0 for pnl in pnls)) / len(pnls)
            assert float(group.mean_pnl) == pytest.approx(float(sum(pnls)) / len(pnls))
    multiples = [float(trade.r_multiple or 0) for trade in closed]
    assert float(view.expectancy_r or 0) == pytest.approx(sum(multiples) / len(multiples), abs=1e-4)
    assert view.best_trade is not None
    assert view.worst_trade is not None
    pnls = [trade.pnl or Decimal(0) for trade in closed]
    assert (view.best_trade.pnl, view.worst_trade.pnl) == (max(pnls), min(pnls))


def test_the_money_in_the_market_is_what_open_trades_have_cost_at_each_bar() -> None:
    run, _ = run_of()
    times = np.asarray(run.timeline.times)[run.timeline.first : run.timeline.last + 1]

    at_each_bar = [
        sum(
            float(trade.entry_cost)
            for trade in run.view.trades
            if to_unix(trade.entry_time) <= time and (trade.exit_time is None or time < to_unix(trade.exit_time))
        )
        for time in times.tolist()
    ]

    assert float(run.view.invested) == pytest.approx(sum(at_each_bar) / len(times))
    assert float(run.view.invested_held) == pytest.approx(float(run.view.invested * run.view.buy_and_hold), abs=1e-7)


def test_without_a_trade_there_is_nothing_to_answer() -> None:
    settings = parse_settings({"QUOTE_CURRENCY": "USD"})

    view = Backtest(several(20, 150), settings, FixedSentiment(Stance.GREED)).run().view

    assert (view.by_symbol, view.by_exit_reason, view.expectancy_r) == ([], [], None)
    assert (view.best_trade, view.worst_trade, view.invested) == (None, None, 0)
