"""The technical agent decides by pandas-ta's figures; where a backtest may decide differently, by the backtest's."""

import os
import random
import subprocess
import sys
from collections.abc import Sequence

import pytest

from botctl.domain.candles import Candle
from botctl.domain.decisions import RSI_CEILING, TECHNICAL_STANCES, Stance
from botctl.domain.errors import ConfigError
from botctl.domain.indicators import may_differ, trend_opinion
from botctl.frames import candle_frame
from botctl.market_data.indicators import calculate_trend
from botctl.trading.council.technical_agent import TechnicalAgent, pandas_ta_trend
from tests.bot_runner import PROJECT
from tests.market_data.test_indicators import closes, quiet, risk, wander
from tests.test_frames import briefing

FOLDER_OF_NUMBA = """
import os
from pathlib import Path
from botctl.frames import cache_for_numba
with cache_for_numba():
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    print(folder, oct(folder.stat().st_mode)[-3:], os.access(folder, os.W_OK))
assert "NUMBA_CACHE_DIR" not in os.environ
"""


def leap_then_zigzag(count: int) -> list[Candle]:
    """A leap, which pandas-ta's RSI begins with, and then steps whose RSI is near 70."""
    path = [100.0, 130.0]
    while len(path) < count:
        path.append(path[-1] + (0.208 if len(path) % 2 else -0.1))
    return closes(*path)


def opinions(candles: Sequence[Candle]) -> tuple[Stance, Stance]:
    """By pandas-ta's figures, and as a backtest decides."""
    by_pandas_ta = trend_opinion(*pandas_ta_trend(candle_frame(candles)), RSI_CEILING)
    return TECHNICAL_STANCES[by_pandas_ta], TECHNICAL_STANCES[calculate_trend(candles)[0]]


@pytest.mark.parametrize("seed", range(4))
def test_its_figures_are_pandas_tas(seed: int) -> None:
    import pandas_ta  # here, as collecting the tests must not load it

    candles = wander(random.Random(seed), 720)
    close = candle_frame(candles)["close"]
    fast, slow = (pandas_ta.ema(close, length=period, talib=False).iloc[-1] for period in (12, 26))
    rsi = pandas_ta.rsi(close, length=14, talib=False).iloc[-1]

    verdict = TechnicalAgent().judge(briefing(candles))

    assert pandas_ta_trend(candle_frame(candles)) == (fast, slow, rsi)
    expected = "BEARISH" if fast < slow else "NEUTRAL" if rsi >= 70 else "BULLISH"
    assert (verdict.stance, verdict.reason.split(", ")[1]) == (expected, f"RSI(14) {rsi:.1f}")


def test_in_a_young_market_the_rsi_of_a_backtest_counts() -> None:
    """pandas-ta's RSI begins with the first change, a backtest's with a mean: up to 300 candles that may be seen."""
    young = leap_then_zigzag(114)
    assert opinions(young) == ("NEUTRAL", "BULLISH")

    assert TechnicalAgent().judge(briefing(young)).stance == "BULLISH"
    assert len(set(opinions(leap_then_zigzag(300)))) == 1


@pytest.mark.parametrize(
    ("count", "fast", "slow", "rsi", "differ"),
    [
        (299, 101.0, 100.0, 50.0, True),
        (300, 101.0, 100.0, 50.0, False),
        (720, 100.0, 100.0 + 1e-8, 50.0, True),
        (720, 100.0, 100.0 + 1e-6, 50.0, False),
        (720, 1e-9, 1e-9 + 1e-17, 50.0, False),
        (720, 101.0, 100.0, 70.0 - 9e-7, True),
        (720, 101.0, 100.0, 70.0 + 2e-6, False),
    ],
)
def test_the_last_digits_decide_only_at_a_tie(count: int, fast: float, slow: float, rsi: float, differ: bool) -> None:
    assert may_differ(count, fast, slow, rsi, 70.0) == differ


def test_few_candles_and_a_market_that_never_moved_are_unknown() -> None:
    assert TechnicalAgent().judge(briefing(quiet(113))).reason == "113 candles are too few"
    assert TechnicalAgent().judge(briefing(quiet(720))).stance == "UNKNOWN"


def test_without_pandas_ta_nothing_is_bought_and_the_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas_ta", None)

    with pytest.raises(ConfigError, match=r"the installation of botctl is broken: .*pandas_ta"):
        risk().calculate_atr(wander(random.Random(0), 200))


@pytest.mark.parametrize("has_home", [True, False])
def test_numba_finds_a_folder_for_its_cache(has_home: bool, tmp_path: os.PathLike[str]) -> None:
    """A service may have no home, and none but root can write to the installation: pandas-ta would not load."""
    home = tmp_path if has_home else "/dev/null"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(PROJECT)}

    told = subprocess.run([sys.executable, "-c", FOLDER_OF_NUMBA], env=environment, capture_output=True, text=True)

    folder, mode, writable = told.stdout.split()
    assert writable == "True"
    assert folder == f"{home}/.cache/botctl/pandas-ta" if has_home else mode == "700"
    assert os.path.exists(folder) == has_home
