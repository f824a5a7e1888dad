"""The playback's floats stay with the paper broker's decimals."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from botctl.backtesting.engine import truncate_to_lot
from botctl.domain.costs import COST_DECIMALS
from botctl.domain.money import floor_to


@given(st.integers(1, 10**12), st.integers(1, 10**6))
def test_a_cost_of_whole_lots_is_cut_to_itself(lots: int, tenths: int) -> None:
    """Without slippage a cost is amount by price, often a whole number of lots, which its float may miss from below."""
    amount, price = Decimal(lots) / 10**8, Decimal(tenths) / 10

    cost = truncate_to_lot(lots * float(price))

    exact = float(floor_to(amount * price, COST_DECIMALS) * 10**COST_DECIMALS)
    assert cost == exact or abs(cost - exact) < exact * 1e-15
