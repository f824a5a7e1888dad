"""The stop rule keeps its promises for every price, in Python and compiled."""

from itertools import accumulate

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.stops import StopRule, advance_stop, break_even_price, covers_costs, initial_stop

prices = st.floats(min_value=1e-8, max_value=1e9)
multiples = st.floats(min_value=0.01, max_value=99.0)
State = tuple[float, float, bool]


@given(st.lists(prices, min_size=1, max_size=30), prices, prices, multiples, multiples)
def test_neither_the_stop_nor_the_high_ever_falls(
    path: list[float], entry: float, atr: float, multiple: float, breakeven: float
) -> None:
    start: State = (initial_stop(entry, atr, multiple), entry, False)

    states = list(
        accumulate(path, lambda s, p: advance_stop(p, s[0], s[1], entry, atr, multiple, breakeven), initial=start)
    )

    assert [stop for stop, _, _ in states] == sorted(stop for stop, _, _ in states)
    assert [high for _, high, _ in states] == sorted(high for _, high, _ in states)
    assert states[-1][1] == max(entry, *path)


@given(prices, prices, prices, prices, multiples, multiples, st.floats(min_value=0, max_value=0.4))
def test_fees_raise_a_breakeven_stop_only_where_it_keeps_half_an_atr_from_the_price(
    price: float, high: float, entry: float, atr: float, multiple: float, breakeven: float, fee: float
) -> None:
    even = break_even_price(entry * (1 + fee), fee)
    start = initial_stop(entry, atr, multiple)

    without, _, _ = advance_stop(price, start, high, entry, atr, multiple, breakeven)
    stop, _, _ = advance_stop(price, start, high, entry, atr, multiple, breakeven, even)

    moved = max(high, price) > entry + breakeven * atr
    assert stop == (max(without, even) if moved and even <= price - 0.5 * atr else without)


@given(prices, prices, prices, prices, prices, multiples, multiples)
def test_a_stop_is_hit_exactly_when_the_price_is_at_it_or_below(
    price: float, stop: float, high: float, entry: float, atr: float, multiple: float, breakeven: float
) -> None:
    new_stop, _, hit = advance_stop(price, stop, high, entry, atr, multiple, breakeven)

    assert hit == (price <= new_stop)


@given(prices, prices, prices, multiples, multiples)
def test_the_stop_rests_until_the_high_clears_the_breakeven_mark(
    price: float, entry: float, atr: float, multiple: float, breakeven: float
) -> None:
    stop = initial_stop(entry, atr, multiple)

    new_stop, high, _ = advance_stop(price, stop, entry, entry, atr, multiple, breakeven)

    if high <= entry + breakeven * atr:
        assert new_stop == stop
    else:
        assert new_stop == max(stop, entry, high - multiple * atr)
        assert new_stop >= entry


@given(prices, prices, prices, multiples)
def test_a_look_at_the_same_price_again_changes_nothing(
    price: float, entry: float, atr: float, multiple: float
) -> None:
    stop, high, hit = advance_stop(price, initial_stop(entry, atr, multiple), entry, entry, atr, multiple, multiple)

    assert advance_stop(price, stop, high, entry, atr, multiple, multiple) == (stop, high, hit)


@given(prices, st.floats(min_value=0.01, max_value=0.4), st.floats(min_value=1.0, max_value=3.0))
def test_a_new_high_is_no_hit(entry: float, share: float, rise: float) -> None:
    atr = entry * share
    price = entry * rise
    assume(price - 2 * atr > 0)

    _, high, hit = advance_stop(price, initial_stop(entry, atr, 2), entry, entry, atr, 2, 2)

    assert (high, hit) == (price, False)


@given(prices, prices)
def test_an_exit_is_named_by_where_its_stop_stood(stop: float, entry: float) -> None:
    names = {-1: ExitReason.STOP_LOSS, 0: ExitReason.BREAKEVEN, 1: ExitReason.TRAILING_STOP}

    assert stop_reason(stop, entry) == names[(stop > entry) - (stop < entry)]


@given(st.lists(prices, min_size=1, max_size=30), prices, prices, multiples, multiples)
def test_over_many_prices_the_rule_goes_step_by_step_and_ends_at_the_hit(
    path: list[float], entry: float, atr: float, multiple: float, breakeven: float
) -> None:
    rule = StopRule(multiple, breakeven)
    stop, high = rule.initial_stop(entry, atr), entry

    steps = list(rule.advance_over(path, stop, high, entry, atr))

    for price, step in zip(path, steps, strict=False):
        stop, high, hit = advance_stop(price, stop, high, entry, atr, multiple, breakeven)
        assert step == (price, stop, high, hit)
    assert [step.hit for step in steps[:-1]] == [False] * (len(steps) - 1)
    assert len(steps) == len(path) or steps[-1].hit


def test_the_rule_in_figures() -> None:
    assert initial_stop(50000, 500, 2) == 49000
    assert advance_stop(51000, 49000, 50000, 50000, 500, 2, 2) == (49000, 51000, False)
    assert advance_stop(51001, 49000, 50000, 50000, 500, 2, 2) == (50001, 51001, False)
    assert advance_stop(50501, 49000, 50000, 50000, 500, 2, 1) == (50000, 50501, False)
    assert advance_stop(49000, 49000, 50000, 50000, 500, 2, 2) == (49000, 50000, True)


def test_the_costs_in_figures() -> None:
    """Paid 100.80 for 0.002, and a sale loses 0.80 %. A round trip on an ask of 50,000 costs 800, the stop is 1,000
    away: 1.25 times as much."""
    assert break_even_price(50400, 0.008) == pytest.approx(50806.4516)
    assert advance_stop(51056, 49000, 50000, 50000, 500, 4, 1, 50806.5) == (50000, 51056, False)
    assert advance_stop(51056.5, 49000, 50000, 50000, 500, 4, 1, 50806.5) == (50806.5, 51056.5, False)
    assert [covers_costs(50000, 49000, 0.008, costs) for costs in (0, 1.25, 1.26)] == [True, True, False]
    assert stop_reason(50806.5, 50000, 50806.5) == stop_reason(50000, 50000, 50806.5) == ExitReason.BREAKEVEN
    assert stop_reason(50806.4, 50000, 50806.5) == ExitReason.TRAILING_STOP


def test_the_scalar_rule_uses_nothing_but_its_arguments() -> None:
    assert {*initial_stop.__code__.co_names, *advance_stop.__code__.co_names} == {"max"}


@pytest.mark.long
def test_numba_compiles_the_rule_as_it_stands_and_agrees_with_python() -> None:
    import numba

    compiled = numba.njit(advance_stop)

    @settings(max_examples=500, deadline=None)
    @given(prices, prices, prices, prices, prices, multiples, multiples, prices)
    def agree(
        price: float, stop: float, high: float, entry: float, atr: float, multiple: float, breakeven: float, even: float
    ) -> None:
        figures = (price, stop, high, entry, atr, multiple, breakeven, even)
        assert compiled(*figures) == advance_stop(*figures)

    agree()
    assert compiled.nopython_signatures
