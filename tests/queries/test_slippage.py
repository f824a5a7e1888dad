"""Slippage: what an order was expected to fetch, and what it did."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from botctl.queries.slippage import Slippage

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def test_slippage_is_positive_when_it_hurts_whatever_the_side() -> None:
    bought = Slippage(NOON, 1, "buy", "BTC/USD", "", Decimal(2), Decimal(100), "", Decimal(101))
    sold = replace(bought, side="sell")
    unknown = replace(bought, expected_price=None)

    assert (bought.fraction, bought.cost) == (Decimal("0.01"), Decimal(2))
    assert (sold.fraction, sold.cost) == (Decimal("-0.01"), Decimal(-2))
    assert (unknown.fraction, unknown.cost) == (None, None)
