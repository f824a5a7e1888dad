"""A curve in one line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.cli.views.status import BARS, sparkline

VALUES = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([5], "▅"),
        ([5, 5, 5], "▅▅▅"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([7, 0], "█▁"),
    ],
)
def test_the_lowest_is_the_lowest_bar_and_the_highest_the_highest(values: list[float], line: str) -> None:
    assert sparkline(values, 40) == line


@given(VALUES, st.integers(1, 80))
def test_it_fits_and_ends_with_the_newest(values: list[float], width: int) -> None:
    line = sparkline(values, width)

    assert len(line) == min(width, len(values))
    assert set(line) <= set(BARS)
    if len(line) > 1 and values[-1] == min(values) < values[0] == max(values):
        assert (line[0], line[-1]) == (BARS[-1], BARS[0])


def test_a_long_curve_is_thinned_evenly() -> None:
    assert sparkline([float(value) for value in range(800)], 8) == BARS
