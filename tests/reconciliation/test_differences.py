"""The same is silent, whatever differs has a name, and an order without an ending is no difference of money."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.orders import UNSETTLED, OrderState
from botctl.reconciliation.differences import OrderFigures, holding_difference, order_difference

FILLED = OrderFigures(OrderState.FILLED, Decimal("0.002"), Decimal("100.0"), Decimal("0.4"))
NOTHING = OrderFigures(OrderState.CANCELED, Decimal(0), None, None)
amounts = st.decimals("0", "1000", places=4)


@given(st.sampled_from([OrderState.FILLED, OrderState.CANCELED]), amounts, amounts, amounts)
def test_an_ended_order_is_the_same_as_itself(state: OrderState, filled: Decimal, cost: Decimal, fee: Decimal) -> None:
    figures = OrderFigures(state, filled, cost, fee)

    assert order_difference(figures, replace(figures, cost=cost * Decimal("1.000"))) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": OrderState.CANCELED}, "state differs"),
        ({"filled": Decimal("0.0021")}, "filled differs"),
        ({"cost": Decimal("100.1"), "fee": Decimal("0.5")}, "cost, fee differ"),
        ({"cost": None}, "cost differs"),
    ],
)
def test_what_differs_is_named(change: dict[str, object], words: str) -> None:
    assert order_difference(FILLED, replace(FILLED, **change)) == words  # type: ignore[arg-type]
    assert order_difference(replace(FILLED, **change), FILLED) == words  # type: ignore[arg-type]


def test_an_order_that_came_to_nothing_has_no_figures_and_they_are_zero() -> None:
    assert order_difference(NOTHING, replace(NOTHING, cost=Decimal(0), fee=Decimal(0))) == ""


@pytest.mark.parametrize("state", list(OrderState))
def test_an_order_that_the_exchange_does_not_show(state: OrderState) -> None:
    said = order_difference(replace(FILLED, state=state), None)

    if state in UNSETTLED:
        assert said == "no ending yet"
    elif state in (OrderState.REJECTED, OrderState.ABSENT):
        assert said == ""
    else:
        assert said == "not on the exchange"


def test_an_order_that_was_canceled_unfilled_may_be_forgotten_there() -> None:
    assert order_difference(NOTHING, None) == ""


def test_an_order_that_only_the_exchange_has() -> None:
    assert order_difference(None, FILLED) == "not in the journal"


@pytest.mark.parametrize("state", UNSETTLED)
def test_an_order_without_an_ending_here(state: OrderState) -> None:
    mine = OrderFigures(state, Decimal(0), None, None)

    assert "the next run settles it" in order_difference(mine, FILLED)
    working = replace(FILLED, state=OrderState.ACCEPTED)
    assert (order_difference(mine, working) == "") == (state is OrderState.ACCEPTED)


@given(held=amounts, more=amounts)
def test_more_in_the_balance_is_no_difference(held: Decimal, more: Decimal) -> None:
    assert holding_difference(held, held, held + more, "BTC") == ""
    assert holding_difference(held, None, held + more, "BTC") == ""


def test_less_in_the_balance_and_other_orders_are_both_named() -> None:
    said = holding_difference(Decimal(2), Decimal("1.50"), Decimal(1), "BTC")

    assert said == "its orders leave 1.5 BTC, the balance is only 1 BTC"


def test_less_than_one_unit_of_the_balances_decimals_is_no_difference() -> None:
    held = Decimal("0.66333")

    assert holding_difference(held, held, Decimal("0.66"), "DOT") == ""
    assert holding_difference(held, held, Decimal("0.65"), "DOT") == "the balance is only 0.65 DOT"
    assert holding_difference(held, held, Decimal(0), "DOT") == "the balance is only 0 DOT"
