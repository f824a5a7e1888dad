"""Unix seconds and moments are the same times."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from botctl.domain.candles import from_unix, to_unix


@given(integers(0, 2**33))
def test_there_and_back_is_the_same_second(seconds: int) -> None:
    assert to_unix(from_unix(seconds)) == seconds


def test_a_moment_is_aware_and_in_utc() -> None:
    assert from_unix(1_700_000_000) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert from_unix(Decimal("0.5")).tzinfo is UTC


def test_the_zone_of_a_moment_does_not_matter() -> None:
    abroad = from_unix(1_700_000_000.9).astimezone(timezone(timedelta(hours=5)))

    assert to_unix(abroad) == 1_700_000_000


@pytest.mark.parametrize("seconds", [1e20, float("inf"), float("nan"), 10**400])
def test_what_no_calendar_has_is_refused(seconds: float) -> None:
    with pytest.raises((ValueError, OverflowError, OSError)):
        from_unix(seconds)
