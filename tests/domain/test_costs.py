"""Profit is exact."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.costs import calculate_pnl, r_multiple

money = st.decimals(min_value="0", max_value="1e12", places=8)


@given(money, money, money, money)
def test_profit_is_proceeds_less_cost_and_both_fees_to_the_last_digit(
    cost: Decimal, entry_fee: Decimal, proceeds: Decimal, exit_fee: Decimal
) -> None:
    pnl = calculate_pnl(cost, entry_fee, proceeds, exit_fee)

    assert Fraction(pnl) == Fraction(proceeds) - Fraction(exit_fee) - Fraction(cost) - Fraction(entry_fee)


def test_a_trade_at_one_price_loses_its_fees() -> None:
    assert calculate_pnl(Decimal(100), Decimal("0.4"), Decimal(100), Decimal("0.4")) == Decimal("-0.8")


def test_a_trade_sold_at_its_initial_stop_has_lost_one_risk_and_its_fees() -> None:
    pnl = calculate_pnl(Decimal(100), Decimal("0.4"), Decimal(98), Decimal("0.392"))

    assert r_multiple(Decimal(-2), Decimal(100), Decimal(50_000), 49_000.0) == -1
    assert r_multiple(pnl, Decimal(100), Decimal(50_000), 49_000.0) == Decimal("-1.3960")


def test_there_is_no_multiple_of_an_unknown_risk() -> None:
    pnl, cost, price, stop = Decimal(5), Decimal(100), Decimal(50_000), 49_000.0

    assert r_multiple(None, cost, price, stop) is None
    assert r_multiple(pnl, None, price, stop) is None
    assert r_multiple(pnl, cost, None, stop) is None
    assert r_multiple(pnl, cost, price, None) is None
    assert r_multiple(pnl, cost, price, 50_000.0) is None
