"""Files of candles: the old one or the new one, and nothing between."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botctl.domain.candles import Candle
from botctl.domain.errors import ConfigError
from botctl.market_data.candle_files import candle_file, write_candles
from botctl.market_data.history import load_candles
from tests.corruption import limited_file_size

ONE = Candle(900, 100.0, 110.0, 90.0, 105.0, 1.5)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(1e-12, 1e12), min_size=4, max_size=4), st.floats(0, 1e15))
def test_figures_read_back_as_they_were(tmp_path: Path, prices: list[float], volume: float) -> None:
    low, one, other, high = sorted(prices)
    path = candle_file(tmp_path, "BTC/USD", "15m")
    candles = [Candle(900 * at, one, high, low, other, volume) for at in (1, 2)]

    write_candles(path, candles)

    read = load_candles(path)
    columns = (read.times, read.opens, read.highs, read.lows, read.closes, read.volumes)
    assert [Candle(*row) for row in zip(*columns, strict=True)] == candles
    assert "e" not in path.read_text().splitlines()[1]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = candle_file(tmp_path, "BTC/USD", "15m")
    write_candles(path, [ONE])
    before = path.read_bytes()

    with limited_file_size(len(before)), pytest.raises(ConfigError, match="File too large"):
        write_candles(path, [ONE, ONE._replace(time=1800)])

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
