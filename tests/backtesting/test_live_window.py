"""What a backtest calculates over a whole history is what a run calculates over the newest candles it is given."""

from dataclasses import replace

import numpy as np
import pytest

from botctl.backtesting.backtest import _analyze
from botctl.backtesting.jit import interpreted
from botctl.domain.candles import KRAKEN_CANDLE_LIMIT, CandleColumns
from botctl.domain.indicators import BEARISH, BULLISH, MAX_ATR_PERIOD, NEUTRAL, UNKNOWN, candles_needed
from botctl.market_data.indicators import calculate_atr, calculate_trend
from tests.backtesting.bar_by_bar import candles_of
from tests.backtesting.histories import STEP, history_of, walk
from tests.backtesting.synthetic_histories import COLUMNS, draw_history
from tests.quick import parametrize


def in_a_row(*histories: CandleColumns) -> CandleColumns:
    """One history after another."""
    columns = {name: [value for each in histories for value in getattr(each, name)] for name in COLUMNS}
    times = [histories[0].times[0] + STEP * at for at in range(len(columns["opens"]))]
    return replace(histories[0], **{**columns, "times": times})


def still(count: int, price: float) -> CandleColumns:
    return history_of([(price, price, price, price)] * count)


@pytest.mark.parametrize("ends", [(99.0, 101.0), (101.0, 99.0)], ids=["after a rise", "after a fall"])
def test_a_market_that_stands_still_is_judged_as_a_run_judges_it(ends: tuple[float, float]) -> None:
    """Its averages approach one price, and what is left between them is rounding: neither bullish nor bearish. Once no
    candle that a run is given has moved, there is no RSI, and no opinion."""
    before, price = ends
    history = in_a_row(walk(4, 300), still(60, before), still(800, price), walk(5, 60))

    opinions, _ = _analyze(interpreted(), history, 14)

    candles = candles_of(history, len(history.closes))
    judged = range(360, len(candles), 7)
    shown = [candles[max(0, at + 1 - KRAKEN_CANDLE_LIMIT) : at + 1] for at in judged]
    assert [int(opinions[at]) for at in judged] == [calculate_trend(window)[0] for window in shown]
    assert int(opinions[380]) == (NEUTRAL if price > before else BEARISH)  # overbought at once
    assert {int(opinion) for opinion in opinions[900:1078]} == {NEUTRAL}
    assert {int(opinion) for opinion in opinions[1079:1160]} == {UNKNOWN}
    assert {int(opinion) for opinion in opinions[1161:]} & {BULLISH, BEARISH}


@parametrize("period", [14, 15, 16, 19, 50, MAX_ATR_PERIOD], quick=3)
def test_the_atr_of_a_history_is_that_of_the_candles_a_run_is_given(period: int) -> None:
    """To the last digit, so that a price that just touches a stop hits it in both: a calm before a storm."""
    calm, storm = draw_history(7, 600, volatility=0.0005), draw_history(8, 500, volatility=0.01)
    history = in_a_row(draw_history(9, 300, volatility=0.05), calm, storm)
    candles = candles_of(history, len(history.closes))

    _, atrs = _analyze(interpreted(), history, period)

    for at in range(candles_needed(period), len(candles), 23):
        expected = calculate_atr(candles[max(0, at + 1 - KRAKEN_CANDLE_LIMIT) : at + 1], period)
        assert atrs[at] == expected


def test_less_than_a_thousandth_of_an_atr_is_its_first_value() -> None:
    """Whatever the period, as long as Kraken returns that many closed candles: its newest one is still open."""
    assert [candles_needed(period) for period in (2, 14, 15, 50, MAX_ATR_PERIOD)] == [114, 114, 116, 392, 717]
    assert candles_needed(MAX_ATR_PERIOD) <= KRAKEN_CANDLE_LIMIT - 1 < candles_needed(MAX_ATR_PERIOD + 1)
    for period in range(2, MAX_ATR_PERIOD + 1):
        assert (1 - 1 / period) ** (candles_needed(period) - period) < 0.001


def test_a_seed_that_is_wildly_wrong_has_faded_once_there_is_an_atr() -> None:
    calm = draw_history(1, candles_needed(50), volatility=0.002)
    wild = replace(calm, highs=np.append(np.asarray(calm.highs[:50]) * 2, calm.highs[50:]))

    true, off = (calculate_atr(candles_of(history, candles_needed(50)), 50) for history in (calm, wild))

    first = np.mean(np.asarray(wild.highs[:50]) - np.asarray(calm.highs[:50]))
    assert 0 < off - true < 0.001 * first
