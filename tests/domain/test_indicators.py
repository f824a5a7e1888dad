"""The arithmetic of the indicators, and the opinion that comes of it."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from botctl.domain.indicators import (
    BEARISH,
    BULLISH,
    NEUTRAL,
    TIE,
    UNKNOWN,
    calculate_indicators,
    relative_strength,
    smooth,
    technical_opinion,
    true_range,
)

prices = st.floats(min_value=1, max_value=1e6)
moves = st.floats(min_value=0.001, max_value=1e6)


@given(prices, prices, moves, moves)
def test_the_opinion_is_read_off_the_averages_and_the_rsi(fast: float, slow: float, gain: float, loss: float) -> None:
    opinion, rsi = technical_opinion(fast, slow, gain, loss, 70.0), relative_strength(gain, loss)
    apart = abs(fast - slow) / slow
    assume(not 0.9 * TIE < apart < 1.1 * TIE)
    under, over = apart > TIE and fast < slow, apart > TIE and fast > slow

    assert (opinion == BEARISH) == under
    if not math.isclose(rsi, 70.0, abs_tol=1e-9):
        assert (opinion == BULLISH) == (over and rsi < 70)
        assert (opinion == NEUTRAL) == ((not under and not over) or (over and rsi >= 70))


@pytest.mark.parametrize("place", range(4))
def test_a_missing_figure_is_unknown(place: int) -> None:
    figures = [2.0, 1.0, 1.0, 1.0]
    figures[place] = math.nan

    assert technical_opinion(*figures, 70.0) == UNKNOWN


def test_a_market_that_never_moves_has_no_rsi() -> None:
    assert math.isnan(relative_strength(0.0, 0.0))
    assert technical_opinion(2.0, 1.0, 0.0, 0.0, 70.0) == UNKNOWN


@given(prices, prices, st.floats(min_value=0, max_value=1))
def test_an_average_stays_between_what_it_was_and_what_is_new(average: float, new: float, weight: float) -> None:
    low, high = sorted((average, new))

    assert low * (1 - 1e-12) <= smooth(average, new, weight) <= high * (1 + 1e-12)


@given(st.lists(prices, min_size=3, max_size=3), prices)
def test_a_true_range_is_the_greatest_of_its_three(figures: list[float], previous: float) -> None:
    low, _, high = sorted(figures)

    expected = max(high - low, abs(high - previous), abs(previous - low))
    assert true_range(high, low, previous) == pytest.approx(expected)


@given(st.lists(prices, min_size=60, max_size=120), st.integers(30, 59))
def test_a_candle_is_judged_without_those_after_it(closes: list[float], known: int) -> None:
    assert opinions_of(closes[:known]) == opinions_of(closes)[:known]


def opinions_of(closes: list[float]) -> list[int]:
    opinions, atrs = [0] * len(closes), [0.0] * len(closes)
    calculate_indicators(closes, closes, closes, 12, 26, 14, 70.0, 14, opinions, atrs)
    return opinions
