"""How much is bought, and what is too little."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.markets import Market, amount_for_cost, below_minimum

costs = st.decimals(min_value="0.01", max_value="1e9", places=2)
prices = st.decimals(min_value="0.0001", max_value="1e7", places=4)
amounts = st.decimals(min_value="0.00000001", max_value="1e4", places=8)


def market(lot_decimals: int = 8, min_amount: str = "0.00005", min_cost: str = "0.5") -> Market:
    return Market("BTC/USD", "BTC", "USD", "XXBTZUSD", lot_decimals, 1, Decimal(min_amount), Decimal(min_cost))


@given(costs, prices, st.integers(min_value=0, max_value=10))
def test_an_amount_never_costs_more_than_was_given_for_it(cost: Decimal, price: Decimal, lots: int) -> None:
    amount = amount_for_cost(cost, price, market(lots))

    step = Decimal(1).scaleb(-lots)
    assert amount * price <= cost * (1 + Decimal("1e-26"))
    assert (amount + step) * price > cost * (1 - Decimal("1e-26"))
    assert amount % step == 0


@given(amounts, prices)
def test_an_order_is_too_small_by_amount_or_by_cost_and_says_by_which(amount: Decimal, price: Decimal) -> None:
    why = below_minimum(amount, price, market())

    assert bool(why) == (amount < Decimal("0.00005") or amount * price < Decimal("0.5"))
    assert ("order minimum" in str(why)) == (amount < Decimal("0.00005"))


def test_exactly_the_minimum_is_enough() -> None:
    assert below_minimum(Decimal("0.00005"), Decimal(10000), market()) is None
    assert "0.00004999 BTC" in str(below_minimum(Decimal("0.00004999"), Decimal(99999), market()))
    assert "0.5 USD" in str(below_minimum(Decimal("0.00005"), Decimal(9999), market()))
