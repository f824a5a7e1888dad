"""One rule for every age: neither in the future nor too old."""

from datetime import UTC, datetime, timedelta

import pytest

from botctl.domain.freshness import CLOCK_TOLERANCE, is_ahead, is_fresh, is_in_force

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("age", "fresh"),
    [
        (timedelta(0), True),
        (HOUR - TICK, True),
        (HOUR, False),
        (-CLOCK_TOLERANCE, True),
        (-CLOCK_TOLERANCE - TICK, False),
        (-365 * 24 * HOUR, False),
    ],
)
def test_what_is_fresh_is_neither_too_old_nor_in_the_future(age: timedelta, fresh: bool) -> None:
    assert is_fresh(NOW - age, NOW, HOUR) is fresh


def test_a_minute_ahead_is_no_other_clock() -> None:
    assert not is_ahead(NOW + CLOCK_TOLERANCE, NOW)
    assert is_ahead(NOW + CLOCK_TOLERANCE + TICK, NOW)


@pytest.mark.parametrize(
    ("left", "goes_on"), [(-TICK, False), (timedelta(0), False), (TICK, True), (HOUR, True), (HOUR + TICK, False)]
)
def test_what_ends_further_ahead_than_it_can_last_is_over(left: timedelta, goes_on: bool) -> None:
    assert is_in_force(NOW + left, NOW, HOUR) is goes_on
