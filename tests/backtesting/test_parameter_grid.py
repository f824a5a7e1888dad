"""The grid of a sweep: its axes, its points, and which of them are neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.backtesting.parameter_grid import (
    SWEEPABLE,
    Axis,
    arrange,
    count_points,
    neighbours,
    parse_axis,
    points,
    values_at,
)
from botctl.domain.configuration.settings import NAMES
from botctl.domain.errors import BadValue

axes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(
    lambda sizes: [
        Axis(name, tuple(str(value) for value in range(size))) for name, size in zip(SWEEPABLE, sizes, strict=False)
    ]
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("atr_multiple=1:2:0.25", ("1", "1.25", "1.5", "1.75", "2")),
        ("atr_multiple=1:2:0.3", ("1", "1.3", "1.6", "1.9")),
        ("atr_multiple=2:2:1", ("2",)),
        ("cooldown_minutes=0,60", ("0", "60")),
        ("ATR_MULTIPLE = 3, 1.50 ,1.5", ("3", "1.5")),
        ("trade_amount_usd=1e3", ("1000",)),
    ],
)
def test_an_axis_is_a_range_with_both_ends_or_a_list(text: str, values: tuple[str, ...]) -> None:
    axis = parse_axis(text)

    assert axis.name == text.partition("=")[0].strip().lower()
    assert axis.values == values


def test_steps_of_a_range_are_exact() -> None:
    assert parse_axis("atr_multiple=0.1:0.5:0.1").values == ("0.1", "0.2", "0.3", "0.4", "0.5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not name a setting"),
        ("atr_multiple", "does not name a setting"),
        ("fee_rate=0,1", "does not name a setting"),
        ("kraken_private_key=1", "does not name a setting"),
        ("atr_multiple=", "not a decimal number"),
        ("atr_multiple=1,,2", "not a decimal number"),
        ("atr_multiple=nan", "not a decimal number"),
        ("atr_multiple=1:2", "three numbers"),
        ("atr_multiple=1:2:3:4", "three numbers"),
        ("atr_multiple=1:2:0", "steps above zero"),
        ("atr_multiple=1:2:-1", "steps above zero"),
        ("atr_multiple=2:1:0.5", "a range must go up"),
        ("atr_multiple=1:2:1e-9", "more than 10000 values"),
        ("atr_multiple=0,1", "0 must be"),
        ("atr_period=10:20:2.5", "12.5 must be a whole number"),
        ("max_drawdown=0.5:2:0.5", "must be"),
    ],
)
def test_a_bad_axis_is_named_in_one_line(text: str, words: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_axis(text)

    assert words in str(caught.value)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_every_swept_name_is_a_setting() -> None:
    assert {name.upper() for name in SWEEPABLE} <= set(NAMES)


def test_a_setting_named_twice_is_refused() -> None:
    with pytest.raises(BadValue, match="twice"):
        arrange([parse_axis("atr_multiple=1,2"), parse_axis("ATR_MULTIPLE=3")])


def test_what_exits_depend_on_changes_last() -> None:
    named = [parse_axis(text) for text in ("max_open_trades=1,2", "atr_multiple=1,2", "atr_period=14,20")]

    assert [axis.name for axis in arrange(named)] == ["atr_period", "atr_multiple", "max_open_trades"]


@given(axes)
def test_every_point_has_its_own_values(grid: list[Axis]) -> None:
    sets = [values_at(grid, point) for point in points(grid)]

    assert len(sets) == count_points(grid)
    assert len({tuple(values.items()) for values in sets}) == len(sets)
    assert all(values[axis.name] in axis.values for values in sets for axis in grid)


@given(axes)
def test_neighbours_are_one_step_away_and_mutual(grid: list[Axis]) -> None:
    every = set(points(grid))
    for point in every:
        around = list(neighbours(grid, point))

        assert set(around) == {
            other for other in every if sum(abs(a - b) for a, b in zip(point, other, strict=True)) == 1
        }
        assert len(set(around)) == len(around)
        assert all(point in neighbours(grid, other) for other in around)
