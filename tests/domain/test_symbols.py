"""What a timeframe is called, and how long it is."""

import pytest

from botctl.domain.symbols import Timeframe


def test_each_timeframe_is_as_long_as_its_name_says() -> None:
    lengths = {str(timeframe): timeframe.seconds for timeframe in Timeframe}

    assert lengths == {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}


@pytest.mark.parametrize("timeframe", Timeframe)
def test_a_length_names_its_timeframe(timeframe: Timeframe) -> None:
    assert Timeframe.from_seconds(timeframe.seconds) is timeframe


def test_a_length_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="120 seconds must be the length of one of 1m, 5m"):
        Timeframe.from_seconds(120)
