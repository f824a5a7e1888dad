"""A kept history only ever grows."""

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.candles import Candle
from botctl.market_data.candle_files import find_gaps, merge_candles

places = st.lists(st.integers(0, 40), unique=True)


def candles(at: list[int], price: float) -> list[Candle]:
    return [Candle(900 * place, price, price, price, price, 1.0) for place in sorted(at)]


@given(places, places)
def test_what_is_kept_stays_and_what_is_new_is_added_in_order(kept: list[int], told: list[int]) -> None:
    old = {candle.time: candle for candle in candles(kept, 1.0)}

    merged = merge_candles(old, candles(told, 2.0))

    times = [candle.time for candle in merged.candles]
    assert times == [900 * place for place in sorted({*kept, *told})]
    assert all(candle.close == (1.0 if candle.time in old else 2.0) for candle in merged.candles)
    assert merged.added == len(set(told) - set(kept))
    assert merged.changed == [900 * place for place in sorted(set(told) & set(kept))]


@given(places)
def test_gaps_hold_exactly_what_is_absent(present: list[int]) -> None:
    times = [900 * place for place in sorted(present)]

    absent = [time for first, last in find_gaps(times, 900) for time in range(first, last + 1, 900)]

    whole = range(times[0], times[-1] + 1, 900) if times else range(0)
    assert absent == sorted(set(whole) - set(times))
