"""The candles as an agent gets them for pandas-ta."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from botctl.domain.candles import Candle
from botctl.domain.errors import ConfigError
from botctl.frames import cache_for_numba, load_pandas_ta
from botctl.ports import Briefing, SentimentReading


class NoSentiment:
    def read(self) -> SentimentReading:
        return SentimentReading(None, None, "nobody asked")


def briefing(candles: list[Candle]) -> Briefing:
    return Briefing("BTC/USD", candles, NoSentiment(), None, datetime(2025, 1, 2, tzinfo=UTC))


def test_a_briefing_has_its_candles_as_a_frame() -> None:
    import pandas as pd  # here, as collecting the tests must not load it

    candles = [Candle(1_735_689_600 + 900 * number, 10, 12.5, 9, 11 + number, 3) for number in range(3)]

    frame = briefing(candles).frame()

    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert (frame.index.name, str(frame.index.tz)) == ("time", "UTC")
    assert frame.index[0] == pd.Timestamp("2025-01-01 00:00", tz="UTC")
    assert [Candle(int(time.timestamp()), *row) for time, *row in frame.itertuples()] == candles


def test_what_an_agent_does_to_its_frame_no_other_agent_sees() -> None:
    shown = briefing([Candle(1_735_689_600, 10, 12, 9, 11, 3)])

    frame = shown.frame()
    frame["close"] = 0.0

    assert shown.frame()["close"].tolist() == [11.0]


def test_without_candles_the_frame_is_empty() -> None:
    assert briefing([]).frame().shape == (0, 5)


# Loading pandas-ta


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise RuntimeError('no locator for its cache')", "RuntimeError: no locator for its cache"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("ema = rsi = None", "AttributeError: module 'pandas_ta' has no attribute 'atr'"),
    ],
)
def test_whatever_its_import_raises_the_installation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    (tmp_path / "pandas_ta.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pandas_ta", raising=False)

    with pytest.raises(ConfigError) as raised:
        load_pandas_ta()

    assert raised.value.message == f"the installation of botctl is broken: pandas_ta can't be loaded: {words}"
    sys.modules.pop("pandas_ta", None)


def test_numba_keeps_no_code_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without a home, whose user has no name: `~` is a relative folder then."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "~")
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "numba", raising=False)

    with cache_for_numba():
        assert Path(os.environ["NUMBA_CACHE_DIR"]).is_absolute()

    assert list(tmp_path.iterdir()) == []
