"""The figures of a run: its days, its ratios, and how a replay counts its errors."""

from datetime import UTC, datetime
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.backtesting.performance import day_ends, sharpe_of_curve, sharpe_ratio
from botctl.backtesting.replay import ReplayOutcome
from botctl.backtesting.summary import last_bars_of_days
from botctl.trading.results import TickView

MIDNIGHT = 1_700_006_400
HOUR = 3600


def test_a_bar_that_closes_at_midnight_is_the_last_one_of_its_day() -> None:
    times = [MIDNIGHT - HOUR, MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + 24 * HOUR]

    assert day_ends(times, [1.0, 2.0, 3.0, 4.0]) == [2.0, 4.0]
    assert last_bars_of_days(np.array(times)).tolist() == [1, 3]


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=30), st.sampled_from([1.0, 1e-7, 1e-11, 0.0]))
def test_the_ratio_of_a_sweep_is_that_of_a_backtest_to_the_last_digit_and_missing_where_that_is(
    curve: list[float], size: float
) -> None:
    """The equity of one that risks next to nothing hardly moves, and has a ratio all the same."""
    equity = [1000.0 + size * worth for worth in curve]
    returns = [after / before - 1.0 for before, after in zip([1000.0, *equity], equity, strict=False)]

    of_curve, of_returns = sharpe_of_curve(equity, list(range(len(equity))), 1000.0), sharpe_ratio(returns)

    assert (None if isnan(of_curve) else of_curve) == of_returns


def test_a_tick_with_two_errors_of_one_kind_is_one_tick() -> None:
    outcome, now = ReplayOutcome(), datetime(2026, 1, 1, tzinfo=UTC)
    for errors in (["a price of 5", "a price of 7", "no answer"], ["a price of 9"]):
        outcome.add(TickView(now, "replay", False, [], [], [], [], None, None, None, errors))

    assert outcome.error_messages() == ["a price of 5 (in 2 ticks)", "no answer"]


@pytest.mark.parametrize("days", [0, 1])
def test_no_ratio_of_less_than_two_days(days: int) -> None:
    assert isnan(sharpe_of_curve([1.0] * days, list(range(days)), 1.0))
