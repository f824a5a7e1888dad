"""Kraken's tiers, and what counts as another fee than the known one."""

from decimal import Decimal

import pytest

from botctl.domain.fees import TIERS, FeeRates, PairFees, differs_from, parse_fee_rate, tier_of


@pytest.mark.parametrize(
    ("text", "rate"), [("tier1", "0.008"), (" Tier9 ", "0.0018"), ("0.0026", "0.0026"), ("0", "0")]
)
def test_a_fee_is_a_rate_or_the_name_of_a_tier(text: str, rate: str) -> None:
    assert parse_fee_rate(text) == Decimal(rate)


@pytest.mark.parametrize("text", ["", "tier0", "tier10", "tier", "0.5", "-0.1", "40", "0.8 %", "nan"])
def test_anything_else_is_no_fee(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_fee_rate(text)


def test_higher_tiers_cost_less_and_are_known_by_their_rate() -> None:
    takers = [parse_fee_rate(f"tier{tier}") for tier in TIERS]

    assert takers == sorted(takers, reverse=True)
    assert [tier_of(rate) for rate in takers] == list(TIERS)
    assert tier_of(Decimal("0.0012")) is None


def test_a_market_that_is_not_known_costs_the_default() -> None:
    rates = FeeRates(Decimal("0.008"), {"BTC/USD": PairFees(Decimal("0.006"), None)})

    assert (rates.taker("BTC/USD"), rates.taker("ETH/USD")) == (Decimal("0.006"), Decimal("0.008"))


@pytest.mark.parametrize(
    ("fee", "differs"), [("0.80", False), ("0.88", False), ("0.73", False), ("0.89", True), ("0.71", True), ("0", True)]
)
def test_a_fee_more_than_a_tenth_off_is_another_one(fee: str, *, differs: bool) -> None:
    assert differs_from(Decimal("0.008"), Decimal(100), Decimal(fee)) is differs
