"""Candles put together to longer ones: as the exchange would show them, and none that is not complete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.candles import CandleColumns
from botctl.market_data.aggregation import aggregate
from tests.backtesting.bar_by_bar import put_together
from tests.backtesting.histories import history_of, walk

HOUR, QUARTER = 3600, 900
NOON = 43_200
COLUMNS = ("times", "opens", "highs", "lows", "closes")


def history(*quarters: int) -> CandleColumns:
    """Candles of these quarters of an hour since noon. One opens at its number, and closes one higher."""
    rows = [(at + 100, at + 105, at + 95, at + 101) for at in quarters]
    return history_of(rows, times=[NOON + QUARTER * at for at in quarters])


def lists(columns: CandleColumns) -> list[list[float]]:
    return [list(getattr(columns, name)) for name in COLUMNS]


def test_an_hour_has_the_first_open_the_extremes_the_last_close_and_the_sum_of_what_was_traded() -> None:
    hours = aggregate(history(*range(8)), HOUR)

    assert lists(hours) == [[NOON, NOON + HOUR], [100, 104], [108, 112], [95, 99], [104, 108]]
    assert list(hours.volumes) == [4, 4]
    assert (hours.symbol, hours.seconds) == ("BTC/USD", HOUR)


@pytest.mark.parametrize(
    ("quarters", "opened"),
    [
        ((0, 1, 2, 3, 4, 5, 6), [0]),  # the second hour has not closed
        ((1, 2, 3, 4, 5, 6, 7), [1]),  # the first hour had begun before
        ((0, 3, 8, 10, 11), [0, 2]),  # what was not traded is left out, an hour too
        ((1, 2), []),
        ((3, 4), []),
    ],
)
def test_a_candle_counts_once_it_is_complete_and_may_have_gaps(quarters: tuple[int, ...], opened: list[int]) -> None:
    assert list(aggregate(history(*quarters), HOUR).times) == [NOON + HOUR * at for at in opened]


@given(st.integers(0, 10**9), st.integers(2, 200), st.sampled_from([1800, HOUR, 4 * HOUR, 24 * HOUR]))
def test_it_does_what_a_loop_over_all_candles_does(seed: int, count: int, seconds: int) -> None:
    quarters = walk(seed, count, absent=0.3)

    assert lists(aggregate(quarters, seconds)) == lists(put_together(quarters, seconds))


def test_a_history_of_that_length_is_left_as_it_is() -> None:
    hours = history(0, 1)

    assert aggregate(hours, QUARTER) is hours
