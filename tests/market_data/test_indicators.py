"""ATR, EMA and RSI against figures worked out by hand, and against pandas-ta's."""

import math
import random
from collections.abc import Iterator

import pytest

from botctl.adapters.demo import demo_data_folder, load_demo_market
from botctl.domain.candles import Candle
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.errors import Refused
from botctl.domain.indicators import candles_needed
from botctl.domain.stops import StopRule
from botctl.domain.symbols import Timeframe
from botctl.frames import candle_frame
from botctl.market_data.indicators import calculate_atr, calculate_trend
from botctl.store.kill_switch import Switch
from botctl.trading.council.technical_agent import pandas_ta_trend
from botctl.trading.risk import RiskService, pandas_ta_atr
from botctl.wiring import build_bot


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


def windows() -> Iterator[list[Candle]]:
    """The demo's candles as a run sees them at different moments, and random ones at other prices."""
    for file in sorted(demo_data_folder().glob("*.csv")):
        rows = [line.split(",") for line in file.read_text().splitlines()[2:]]
        history = [Candle(int(time), *map(float, prices[:5])) for time, *prices in rows]
        for end in range(720, len(history), 1201):
            yield history[end - 720 : end]
        yield from (history[:count] for count in (300, 301, 415))
    for seed in range(6):
        yield wander(random.Random(seed), 300 + 84 * seed, price=10.0 ** (seed - 1))


def test_a_backtests_figures_are_those_of_pandas_ta() -> None:
    """A run decides by pandas-ta, and a backtest by the compiled form of this arithmetic."""
    for candles in windows():
        fast, slow, rsi = pandas_ta_trend(candle_frame(candles))
        _, own_fast, own_slow, own_rsi = calculate_trend(candles)

        for period in [each for each in (3, 14, 50, 91) if candles_needed(each) <= len(candles)]:
            assert calculate_atr(candles, period) == pytest.approx(pandas_ta_atr(candles, period), rel=1e-12, abs=0)
        assert (own_fast, own_slow) == pytest.approx((fast, slow), rel=1e-12, abs=0)
        assert own_rsi == pytest.approx(rsi, rel=0, abs=1e-6)


def test_the_atr_of_a_run_is_that_of_pandas_ta() -> None:
    import pandas_ta  # here, as collecting the tests must not load it

    candles = wander(random.Random(7), 720)
    frame = candle_frame(candles)

    atr = risk().calculate_atr(candles)

    assert atr == pandas_ta.atr(frame["high"], frame["low"], frame["close"], length=14, talib=False).iloc[-1]
    assert risk().calculate_stop_loss(100.0, candles) == 100.0 - 2 * atr


@pytest.mark.parametrize("as_backtest", [False, True])
@pytest.mark.parametrize(("count", "high", "told"), [
    (113, 101, "113 closed candles are too few"), (0, 101, "0 closed candles are too few"), (200, 100, "not usable"),
])  # fmt: skip
def test_a_run_refuses_what_carries_no_stop(as_backtest: bool, count: int, high: float, told: str) -> None:
    with pytest.raises(Refused, match=told):
        risk(as_backtest=as_backtest).calculate_atr([candle(high, 100, 100)] * count)


@pytest.mark.usefixtures("store")
def test_the_atr_of_a_replay_is_the_backtests_to_the_last_bit() -> None:
    """The last digits differ from period 19 up, and a price that just touches a stop must sell in both."""
    candles = wander(random.Random(4), 720)
    settings = parse_settings({"BOTCTL_MODE": "replay", "ATR_PERIOD": "20", "QUOTE_CURRENCY": "USD"})
    service = build_bot(settings, Switch(()), simulated=load_demo_market()).risk

    atr = service.calculate_atr(candles)

    assert atr == calculate_atr(candles, 20) != pandas_ta_atr(candles, 20)


def risk(*, as_backtest: bool = False) -> RiskService:
    rule = StopRule(2.0, 2.0)
    return RiskService(NoMarket(), timeframe=Timeframe("15m"), period=14, rule=rule, as_backtest=as_backtest)


class NoMarket:
    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        raise AssertionError(f"{symbol} is asked for")


def wander(chance: random.Random, count: int, price: float = 100.0) -> list[Candle]:
    candles, close = [], price
    for number in range(count):
        opened, close = close, close * (1 + chance.gauss(0, 0.01))
        high, low = max(opened, close) * (1 + abs(chance.gauss(0, 0.003))), min(opened, close) * 0.997
        candles.append(Candle(900 * number, opened, high, low, close, 1.0))
    return candles
