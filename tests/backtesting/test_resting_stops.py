"""Stops that rest at the exchange, in backtest, replay and sweep: each fires inside a candle, by one rule for all."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from botctl.backtesting.backtest import build_arrays, new_buffers, parameters_of
from botctl.backtesting.jit import compiled, interpreted
from botctl.backtesting.parameter_grid import points
from botctl.backtesting.results import BacktestTrade, BacktestView
from botctl.backtesting.sweep import SweepRunner
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.errors import ConfigError
from botctl.domain.orders import ExitReason
from botctl.market_data.timeline import align_histories
from tests.backtesting.histories import START, STEP, history_of, rising, run_backtest
from tests.backtesting.own_agents import install_agents
from tests.backtesting.synthetic_histories import BEGIN, draw_history
from tests.backtesting.test_replay_equals_backtest import (
    CRASH,
    FEAR,
    UPS_AND_DOWNS,
    Case,
    assert_alike,
    both,
    check,
    closed_afterwards,
    several,
)
from tests.backtesting.test_sweep import grid_of
from tests.quick import parametrize, parametrize_pairs

__all__ = ["closed_afterwards"]

ON = {"EXCHANGE_STOP": "on"}
ENTRY = 114
"""The bar of the entry in a hand-written history: rising before it."""


def written(*rows: tuple[float, float, float, float], **settings: str) -> Case:
    """Bought at 200 with an ATR of 10 and a stop of 180; then the open, high, low and close of these candles."""
    history = history_of([*rising(ENTRY), *rows, *[(rows[-1][3], 400.0, rows[-1][3], rows[-1][3])] * 2])
    free = {"FEE_RATE": "0", "SLIPPAGE": "0", "EXIT_SLIPPAGE": "0.1", "COOLDOWN_MINUTES": "600"}
    return Case([history], settings={**free, **ON, **settings})


QUIET = (200.0, 201.0, 199.0, 200.0)


@pytest.mark.parametrize(
    ("candle", "distance", "bid"),
    [
        ((199.0, 199.0, 169.0, 195.0), "1", "trigger"),  # the low reaches it, and the close is back above the stop
        ((199.0, 199.0, 169.0, 172.0), "1", "trigger"),  # the close hits the stop as well: the candle came first
        ((160.0, 190.0, 150.0, 190.0), "1", "open"),  # a gap
        ((199.0, 199.0, 175.0, 195.0), "1", None),  # between the two stops
        ((199.0, 199.0, 175.0, 195.0), "0", "trigger"),
        ((199.0, 199.0, 165.0, 195.0), "2", None),
        ((199.0, 199.0, 165.0, 195.0), "0.5", "trigger"),
    ],
)
def test_a_resting_stop_sells_inside_the_candle_that_reaches_it(
    candle: tuple[float, float, float, float], distance: str, bid: str | None, tmp_path: Path
) -> None:
    case = written(QUIET, candle, EXCHANGE_STOP_ATR=distance)

    calculated, replayed = both(case, tmp_path)

    assert_alike(calculated, replayed)
    [trade] = calculated.trades
    assert trade.by_resting_stop == replayed.trades[0].by_resting_stop == (bid is not None)
    if bid is not None:
        [history] = case.histories
        trigger = trade.initial_stop_loss_price - float(distance) * trade.atr
        expected = candle[0] if bid == "open" else trigger
        assert trade.exit_price == pytest.approx(Decimal(expected) * Decimal("0.9"), rel=Decimal("1e-9"))
        assert trade.exit_time is not None
        assert trade.exit_time.timestamp() == history.times[ENTRY + 1] + history.seconds
        assert trade.exit_reason == ExitReason.STOP_LOSS


def test_a_resting_stop_follows_the_stop_up_and_is_named_for_it(tmp_path: Path) -> None:
    """At 300 the stop trails at about 280: the resting one below it makes a profit."""
    case = written((200.0, 300.0, 200.0, 300.0), (300.0, 300.0, 200.0, 300.0), EXCHANGE_STOP_ATR="1")

    calculated, replayed = both(case, tmp_path)

    assert_alike(calculated, replayed)
    [trade] = calculated.trades
    assert (trade.exit_reason, trade.by_resting_stop) == (ExitReason.TRAILING_STOP, True)
    assert trade.exit_price is not None
    assert trade.exit_price > trade.entry_price


def test_a_resting_stop_at_the_price_of_both_fees_is_named_alike(tmp_path: Path) -> None:
    fees = {"FEE_RATE": "0.01", "BREAKEVEN_FEES": "yes", "BREAKEVEN_ATR": "0.5", "EXCHANGE_STOP_ATR": "0"}
    case = written((200.0, 215.0, 200.0, 215.0), (215.0, 215.0, 190.0, 215.0), **fees)

    calculated, replayed = both(case, tmp_path)

    assert_alike(calculated, replayed)
    [trade] = calculated.trades
    assert trade.stop_loss_price == pytest.approx(200 * 1.01 / 0.99)
    assert trade.by_resting_stop


def test_a_candle_counts_once_where_the_next_one_is_missing(tmp_path: Path) -> None:
    """Its low is far below the stop that its close has moved up; the bar after it is another symbol's."""
    case = written((200.0, 300.0, 190.0, 300.0), (300.0, 300.0, 299.0, 300.0))
    rows = case.histories[0]
    times = [START + STEP * (at if at < ENTRY + 1 else at + 1) for at in range(len(rows.times))]
    other = history_of([(1.0, 2.0, 0.5, 1.0)] * (len(times) + 1), "ETH/USD")

    calculated, replayed = both(replace(case, histories=[replace(rows, times=times), other]), tmp_path)

    assert_alike(calculated, replayed)
    assert [trade.exit_time for trade in calculated.trades if trade.symbol == "BTC/USD"] == [None]


def test_the_guard_looks_after_a_resting_stop_has_sold(tmp_path: Path) -> None:
    """At the close the account is down by 29 %, but the stop has sold at 170 before that: 16 %, which does not trip."""
    case = written(QUIET, (199.0, 199.0, 140.0, 141.0), TRADE_AMOUNT_USD="9900", EXIT_SLIPPAGE="0", MAX_DRAWDOWN="0.2")

    calculated, replayed = both(case, tmp_path)

    assert_alike(calculated, replayed)
    assert calculated.tripped_at is None
    resting, without = calculated, without_resting_stops(case)
    assert without.tripped_at is not None
    assert resting.equity > without.equity


def without_resting_stops(case: Case) -> BacktestView:
    settings = parse_settings({"QUOTE_CURRENCY": "USD", **case.settings, "EXCHANGE_STOP": "off"})
    return run_backtest(case.histories, settings, FEAR)


def tapes(count: int) -> dict[str, Case]:
    """Random walks on which stops of each kind end trades."""
    alone = [draw_history(3, count, drift=UPS_AND_DOWNS, jumps=0.05)]
    crash = [
        draw_history(50, count, drift=CRASH),
        draw_history(51, count, symbol="ETH/USD", price=900, decimals=2, drift=CRASH, absent=0.02),
    ]
    again = {"COOLDOWN_MINUTES": "0"}
    return {
        "gaps, several symbols": Case(several(20, count, jumps=0.05), settings={**again, "EXCHANGE_STOP_ATR": "0"}),
        "fees in the rules": Case(
            alone,
            settings={
                "FEE_RATE": "0.001", "BREAKEVEN_FEES": "yes", "BREAKEVEN_ATR": "0.5", "ATR_MULTIPLE": "3",
                "MIN_STOP_COSTS": "2", "EXCHANGE_STOP_ATR": "0.5", **again,
            },
        ),
        "signals of four hours": Case(
            [draw_history(60, 2000, drift=UPS_AND_DOWNS, absent=0.01)],
            settings={"SIGNAL_TIMEFRAME": "4h", "EXCHANGE_STOP_ATR": "0", "ATR_MULTIPLE": "1", **again},
            since=BEGIN + 1850 * 900,
        ),
        "a crash": Case(
            crash,
            settings={"TRADE_AMOUNT_USD": "4900", "MAX_DRAWDOWN": "0.1", "ATR_MULTIPLE": "4", "EXCHANGE_STOP_ATR": "2"},
        ),
        "by risk": Case(
            several(80, count),
            settings={"SIZING": "risk", "RISK_PER_TRADE": "0.02", "MAX_DRAWDOWN": "0.9", "EXCHANGE_STOP_ATR": "0.5"},
        ),
        "a tiny price": Case(
            [draw_history(3, count, price=4e-6, decimals=10, volatility=0.01)],
            settings={"TRADE_AMOUNT_USD": "133.37", "EXCHANGE_STOP_ATR": "0.5", **again},
        ),
    }  # fmt: skip


@parametrize("name", tapes(150), quick=1)
def test_a_replay_with_resting_stops_makes_the_trades_of_a_backtest(name: str, tmp_path: Path) -> None:
    case = tapes(200 if name.startswith("gaps") else 240)[name]
    case = replace(case, settings={**case.settings, **ON})

    calculated, replayed = both(case, tmp_path)

    assert_alike(calculated, replayed)
    assert fired(calculated.trades) == fired(replayed.trades)
    assert any(fired(calculated.trades))


def fired(trades: list[BacktestTrade]) -> list[bool]:
    return [trade.by_resting_stop for trade in trades]


@parametrize_pairs(("name", "distance"), list(tapes(150)), ["1", "0", "0.5", "2"], quick=0, long=1)
def test_a_replay_with_every_distance_makes_the_trades_of_a_backtest(name: str, distance: str, tmp_path: Path) -> None:
    """The tapes above have the other distances, each the one that fits it."""
    case = tapes(420)[name]

    calculated, replayed = both(
        replace(case, settings={**case.settings, **ON, "EXCHANGE_STOP_ATR": distance}), tmp_path
    )

    assert_alike(calculated, replayed)
    assert fired(calculated.trades) == fired(replayed.trades)


def test_a_council_that_is_asked_bar_by_bar_hears_of_resting_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agents(tmp_path, monkeypatch, trader="Trader")
    settings = {"COUNCIL": "trader", "COUNCIL_RULE": "majority", "EXCHANGE_STOP_ATR": "0", "COOLDOWN_MINUTES": "30"}

    check(Case(several(20, 160, jumps=0.05), settings={**settings, **ON}, trades=2), tmp_path)


@pytest.mark.long
def test_compiled_code_plays_the_very_same_resting_stops() -> None:
    values = {"QUOTE_CURRENCY": "USD", "COOLDOWN_MINUTES": "0", "EXCHANGE_STOP_ATR": "0.5", **ON}
    parameters, histories = parse_settings(values), several(20, 900, jumps=0.05)
    books = []
    for code in (interpreted(), compiled()):
        timeline = align_histories(histories, 14, None, None)
        buffers = new_buffers(code, 3, len(timeline.times), cache_exits=True, resting_stops=True)
        arrays = build_arrays(code, timeline, histories, FEAR, 14, resting_stops=True)
        for _ in range(2):  # the second one by the cached exits
            played = code.simulate(arrays, parameters_of(parameters), buffers)
            books.append((played, [np.asarray(column).tolist() for column in buffers]))
    assert books[0] == books[1] == books[2] == books[3]


@pytest.mark.long
def test_a_sweep_plays_them_as_a_backtest_does() -> None:
    histories = several(20, 300, jumps=0.05)
    axes = grid_of("exchange_stop=on,off", "exchange_stop_atr=0,1", "cooldown_minutes=0,60")
    base = {"QUOTE_CURRENCY": "USD"}
    runner = SweepRunner(histories, base, FEAR, axes, 1.0)

    scores = runner.score_all(list(points(axes)))

    for score in scores:
        stop, distance, cooldown = (axis.values[index] for axis, index in zip(axes, score.point, strict=True))
        changed = {"EXCHANGE_STOP": stop, "EXCHANGE_STOP_ATR": distance, "COOLDOWN_MINUTES": cooldown}
        view = run_backtest(histories, parse_settings({**base, **changed}), FEAR)
        assert score.train.returned == pytest.approx(float(view.returned), abs=1e-10)
        assert score.train.trades == len(view.trades)
    assert len({score.train.returned for score in scores}) == 6  # both distances do the same where none rests


def test_a_sweep_of_a_distance_that_changes_nothing_is_refused() -> None:
    histories = several(20, 150)

    with pytest.raises(ConfigError, match="EXCHANGE_STOP=off"):
        SweepRunner(histories, {"QUOTE_CURRENCY": "USD"}, FEAR, grid_of("exchange_stop_atr=0,1"), 1.0)
