"""Where a resting stop lies, when it is moved, and at what price it sells inside a candle."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.stops import exit_at_resting, find_lack, is_too_low, resting_trigger, trigger_in_ticks

PRICES = st.floats(0.01, 1e6)


@pytest.mark.parametrize(("distance", "trigger"), [(1.0, 48500.0), (0.0, 49000.0), (2.5, 47750.0)])
def test_it_lies_so_many_average_true_ranges_below_the_stop(distance: float, trigger: float) -> None:
    assert resting_trigger(49000.0, 500.0, distance) == trigger


@pytest.mark.parametrize(
    ("opened", "low", "price"), [(100.0, 91.0, 0.0), (100.0, 90.0, 90.0), (100.0, 50.0, 90.0), (80.0, 70.0, 80.0)]
)
def test_it_sells_at_the_trigger_or_at_an_open_below_it(opened: float, low: float, price: float) -> None:
    assert exit_at_resting(90.0, opened, low) == price


def test_a_trigger_that_is_no_price_sells_nothing() -> None:
    assert exit_at_resting(0.0, 1.0, 0.0) == 0.0
    assert trigger_in_ticks(-3.0, Decimal("0.1")) is None
    assert trigger_in_ticks(0.04, Decimal("0.1")) is None


@given(PRICES, PRICES, PRICES)
def test_it_never_sells_above_the_trigger_nor_outside_the_candle(trigger: float, one: float, other: float) -> None:
    opened, low = max(one, other), min(one, other)
    price = exit_at_resting(trigger, opened, low)
    assert price == 0.0 or (price <= trigger and low <= price <= opened)


def test_it_is_cut_down_to_the_grid_of_prices_and_moved_by_whole_ticks_upwards_only() -> None:
    tick = Decimal("0.1")
    assert trigger_in_ticks(48500.19, tick) == Decimal("48500.1")
    assert trigger_in_ticks(48500.19, Decimal("0.25")) == Decimal("48500.00")
    assert trigger_in_ticks(48509.99, Decimal(5)) == Decimal(48505)
    assert is_too_low(Decimal("48500.1"), Decimal("48500.2"), tick)
    assert not is_too_low(Decimal("48500.2"), Decimal("48500.2"), tick)
    assert not is_too_low(Decimal("48600"), Decimal("48500.2"), tick)


@pytest.mark.parametrize(
    ("resting", "lack"),
    [
        (None, "none"),
        (("0.995", "48500"), None),
        (("0.98", "48500"), "too small"),
        (("1", "48300"), None),
        (("1", "48200"), "too low"),
    ],
)
def test_less_than_a_hundredth_or_half_an_atr_is_left_to_the_next_check(
    resting: tuple[str, str] | None, lack: str | None
) -> None:
    known = None if resting is None else (Decimal(resting[0]), Decimal(resting[1]))

    assert find_lack(Decimal(1), 49_000.0, 500.0, 1.0, known) == lack
