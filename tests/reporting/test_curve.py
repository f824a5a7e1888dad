"""What comes and goes is neither a gain nor a loss in a report either."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.reporting.curve import Point, follow_holding, follow_performance

INITIAL = 10_000.0


@given(
    growths=st.lists(st.floats(0.8, 1.25), min_size=2, max_size=20),
    factors=st.lists(st.sampled_from([1.0, 1.0, 0.3, 4.0]), min_size=20, max_size=20),
    late=st.booleans(),
)
def test_performance_grows_as_the_account_whatever_comes_or_goes(
    growths: list[float], factors: list[float], late: bool
) -> None:
    """A flow multiplies the equity and the base. It is told by the tick itself, or by a look before it."""
    points, flows, unit, base, expected = [], [], 1.0, INITIAL, []
    for number, (growth, factor) in enumerate(zip(growths, factors, strict=False)):
        unit *= growth
        base *= factor
        if factor != 1.0:
            flows.append(900.0 * number + (3 if late else -60))
        points.append(Point(900.0 * number, unit * base, 1.0 - unit))
        expected.append(unit * INITIAL)

    assert follow_performance(points, flows, INITIAL) == pytest.approx(expected)


def test_a_new_initial_balance_and_a_drawdown_that_is_unknown_are_no_change() -> None:
    """The base doubles at the third tick; the fourth is not measured, and cash leaves before the fifth."""
    rows = [(0, 10_000, 0.0), (900, 9_000, 0.1), (1800, 9_000, 0.55), (2700, 9_000, None), (3600, 4_500, 0.55)]
    points = [Point(*row) for row in rows]

    values = follow_performance(points, [3600.0], 20_000.0)

    assert values == pytest.approx([10_000, 9_000, 9_000, 9_000, 9_000])


def test_without_an_initial_balance_the_curve_is_the_equity() -> None:
    assert follow_performance([Point(0, 100, None), Point(900, 110, None)], [], None) == pytest.approx([100, 110])
    assert follow_performance([], [], None) == []


def test_holding_buys_equal_parts_at_the_first_prices_and_sells_nothing() -> None:
    prices = {"BTC/USD": [(10, 100.0), (30, 150.0)], "ETH/USD": [(25, 10.0), (30, 5.0)]}

    values = follow_holding([5, 10, 20, 25, 30], 1000.0, prices)

    assert values == [1000, 1000, 1000, 1000, 750 + 250]
    assert follow_holding([1, 2], 1000.0, {}) == [1000, 1000]
