"""The table of orders, every pair of states of it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.orders import ABSENT_AFTER, DEADLINE_AFTER, NEXT, UNSETTLED, IllegalStep, OrderState, advance

ALLOWED = {
    ("INTENDED", "SUBMITTED"),
    ("INTENDED", "ABSENT"),
    ("SUBMITTED", "ACCEPTED"),
    ("SUBMITTED", "REJECTED"),
    ("SUBMITTED", "UNKNOWN"),
    ("UNKNOWN", "ACCEPTED"),
    ("UNKNOWN", "FILLED"),
    ("UNKNOWN", "CANCELED"),
    ("UNKNOWN", "ABSENT"),
    ("ACCEPTED", "FILLED"),
    ("ACCEPTED", "CANCELED"),
    ("SUBMITTED", "RESTING"),
    ("UNKNOWN", "RESTING"),
    ("RESTING", "ACCEPTED"),
    ("RESTING", "FILLED"),
    ("RESTING", "CANCELED"),
}
ENDINGS = {"FILLED", "CANCELED", "REJECTED", "ABSENT"}


@pytest.mark.parametrize(("state", "to"), list(product(OrderState, repeat=2)))
def test_a_step_is_taken_or_refused_as_the_design_draws_it(state: OrderState, to: OrderState) -> None:
    if (state.value, to.value) in ALLOWED:
        assert advance(state, to) is to
    else:
        with pytest.raises(IllegalStep, match=f"{state} to {to}"):
            advance(state, to)


def test_the_table_knows_every_state_and_its_endings() -> None:
    assert set(NEXT) == set(OrderState)
    assert {state.value for state in OrderState} - {state.value for state in UNSETTLED} == ENDINGS | {"RESTING"}


@given(st.lists(st.sampled_from(list(OrderState)), max_size=30))
def test_no_path_leads_out_of_an_ending_or_back_to_a_state(wanted: list[OrderState]) -> None:
    state, visited = OrderState.INTENDED, [OrderState.INTENDED]
    for to in wanted:
        if to in NEXT[state]:
            state = advance(state, to)
            visited.append(state)

    assert len(visited) == len(set(visited)) <= 6
    assert not any(one.value in ENDINGS for one in visited[:-1])


def test_an_order_is_given_up_only_long_after_kraken_would_take_it() -> None:
    assert 2 <= DEADLINE_AFTER.total_seconds() <= 60
    assert ABSENT_AFTER.total_seconds() >= 90
