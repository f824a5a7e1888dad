"""ATR, EMA and RSI against figures worked out by hand, and against pandas-ta's."""

import math
import random

import pytest

from botctl.domain.candles import Candle
from botctl.domain.errors import Refused
from botctl.market_data.indicators import calculate_atr, calculate_trend


def candle(high: float, low: float, close: float) -> Candle:
    return Candle(0, close, high, low, close, 1.0)


def quiet(count: int) -> list[Candle]:
    """Candles from 95 to 105 that close at 100: each has a true range of 10."""
    return [candle(105, 95, 100)] * count


def closes(*values: float) -> list[Candle]:
    return [candle(value, value, value) for value in values]


def test_the_atr_of_equal_ranges_is_that_range() -> None:
    assert calculate_atr(quiet(114), 14) == pytest.approx(10, abs=1e-12)


def test_a_new_range_counts_for_a_fourteenth() -> None:
    assert calculate_atr([*quiet(150), candle(110, 90, 100)], 14) == pytest.approx((13 * 10 + 20) / 14, abs=1e-9)


def test_a_gap_counts_from_the_close_before_it() -> None:
    """From 100 up to 120..125 the true range is 25, then back down to 100..101 it is 24."""
    after_up = (13 * 10 + 25) / 14
    candles = [*quiet(150), candle(125, 120, 124)]

    assert calculate_atr(candles, 14) == pytest.approx(after_up, abs=1e-9)
    assert calculate_atr([*candles, candle(101, 100, 100)], 14) == pytest.approx((13 * after_up + 24) / 14, abs=1e-9)


def test_another_period_weighs_otherwise() -> None:
    assert calculate_atr([*quiet(120), candle(110, 90, 100)], 3) == pytest.approx((2 * 10 + 20) / 3, abs=1e-9)


@pytest.mark.parametrize(("period", "count"), [(14, 113), (3, 113), (50, 391), (14, 0), (14, 1)])
def test_too_few_candles_are_refused_with_how_many_are_needed(period: int, count: int) -> None:
    with pytest.raises(Refused, match=f"{392 if period == 50 else 114} are needed"):
        calculate_atr(quiet(count), period)


def test_a_market_that_never_moves_carries_no_stop() -> None:
    with pytest.raises(Refused, match="not usable for a stop"):
        calculate_atr([candle(100, 100, 100)] * 200, 14)


def test_the_averages_take_their_share_of_a_new_close() -> None:
    """An EMA(n) moves by 2 / (n + 1) of the way to the new close."""
    _, fast, slow, _ = calculate_trend(closes(*[100.0] * 300, 110))

    assert fast == pytest.approx(100 + 10 * 2 / 13, abs=1e-9)
    assert slow == pytest.approx(100 + 10 * 2 / 27, abs=1e-9)


def test_the_rsi_of_a_steady_zigzag_is_that_of_its_two_steps() -> None:
    """Up 3 and down 1 in turn. Wilder's averages settle at g = 39/27 and l = 14/27 right after a step down:
    g = 13/14 (13/14 g + 3/14), l = 13/14 (13/14 l) + 1/14. So RSI = 100 g / (g + l) = 3900 / 53."""
    path = [1000.0]
    for _ in range(300):
        path += [path[-1] + 3, path[-1] + 2]

    assert calculate_trend(closes(*path))[3] == pytest.approx(3900 / 53, abs=1e-6)


def test_a_market_that_only_rises_is_overbought_and_one_that_only_falls_is_not() -> None:
    assert calculate_trend(closes(*range(100, 300)))[3] == pytest.approx(100)
    assert calculate_trend(closes(*range(300, 100, -1)))[3] == pytest.approx(0)


def test_too_few_candles_leave_a_figure_missing() -> None:
    _, fast, slow, _ = calculate_trend(closes(*range(100, 120)))

    assert not math.isnan(fast)
    assert math.isnan(slow)


@pytest.mark.long  # importing it costs a second for each worker; the figures worked out by hand are above
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [114, 300, 720])
def test_the_figures_are_those_of_pandas_ta(seed: int, count: int) -> None:
    """Its RSI begins with the first change instead of a mean, which fades."""
    import pandas as pd  # here, or every worker would import all that it stands on
    import pandas_ta

    candles = wander(random.Random(seed), count)
    columns = {
        name: pd.Series([candle[at] for candle in candles]) for name, at in {"high": 2, "low": 3, "close": 4}.items()
    }

    atr = pandas_ta.atr(columns["high"], columns["low"], columns["close"], length=14, talib=False).iloc[-1]
    fast = pandas_ta.ema(columns["close"], length=12, talib=False).iloc[-1]
    slow = pandas_ta.ema(columns["close"], length=26, talib=False).iloc[-1]
    rsi = pandas_ta.rsi(columns["close"], length=14, talib=False).iloc[-1]

    assert calculate_atr(candles, 14) == pytest.approx(atr, rel=1e-12)
    _, own_fast, own_slow, own_rsi = calculate_trend(candles)
    assert (own_fast, own_slow) == pytest.approx((fast, slow), rel=1e-12)
    assert own_rsi == pytest.approx(rsi, abs=0.5 if count < 300 else 1e-6)


def wander(chance: random.Random, count: int) -> list[Candle]:
    candles, close = [], 100.0
    for _ in range(count):
        opened, close = close, close * (1 + chance.gauss(0, 0.01))
        high, low = max(opened, close) * (1 + abs(chance.gauss(0, 0.003))), min(opened, close) * 0.997
        candles.append(Candle(0, opened, high, low, close, 1.0))
    return candles
