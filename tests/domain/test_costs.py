"""Profit is exact."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.costs import calculate_pnl

money = st.decimals(min_value="0", max_value="1e12", places=8)


@given(money, money, money, money)
def test_profit_is_proceeds_less_cost_and_both_fees_to_the_last_digit(
    cost: Decimal, entry_fee: Decimal, proceeds: Decimal, exit_fee: Decimal
) -> None:
    pnl = calculate_pnl(cost, entry_fee, proceeds, exit_fee)

    assert Fraction(pnl) == Fraction(proceeds) - Fraction(exit_fee) - Fraction(cost) - Fraction(entry_fee)


def test_a_trade_at_one_price_loses_its_fees() -> None:
    assert calculate_pnl(Decimal(100), Decimal("0.4"), Decimal(100), Decimal("0.4")) == Decimal("-0.8")
