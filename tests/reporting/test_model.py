"""What a report draws is thinner than what happened, and loses nothing that matters."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.stops import StopRule, advance_stop, initial_stop
from botctl.reporting.model import (
    Bars,
    DecisionSpan,
    calculate_drawdowns,
    downsample,
    merge_bars,
    merge_decision_spans,
    stop_path,
)

prices = st.floats(1, 1e6)
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@given(values=st.lists(prices, min_size=1, max_size=500), most=st.integers(4, 100))
def test_a_thinned_curve_keeps_its_extremes_its_ends_and_its_order(values: list[float], most: int) -> None:
    times, kept = downsample(list(range(len(values))), values, most)

    assert (min(kept), max(kept)) == (min(values), max(values))
    assert (times[0], times[-1]) == (0, len(values) - 1)
    assert times == sorted(set(times))
    assert kept == [values[int(time)] for time in times]
    assert len(kept) <= most + 4


@given(rows=st.lists(st.tuples(prices, prices, prices, prices), min_size=1, max_size=300), most=st.integers(1, 50))
def test_merged_bars_keep_first_last_highest_and_lowest(rows: list[tuple[float, ...]], most: int) -> None:
    opens, highs, lows, closes = (list(column) for column in zip(*rows, strict=True))
    times = [900 * place for place in range(len(rows))]

    merged = merge_bars(Bars(900, times, opens, highs, lows, closes), most)

    assert len(merged.times) <= most
    assert (merged.opens[0], merged.closes[-1]) == (opens[0], closes[-1])
    assert (max(merged.highs), min(merged.lows)) == (max(highs), min(lows))
    assert merged.seconds % 900 == 0


@given(values=st.lists(prices, min_size=1))
def test_a_fall_is_measured_from_the_highest_so_far(values: list[float]) -> None:
    expected = [value / max(values[: place + 1]) - 1 for place, value in enumerate(values)]

    assert calculate_drawdowns(values) == expected
    assert max(expected) <= 0


@given(closes=st.lists(prices, max_size=60), entry=prices, atr=st.floats(0.1, 1e4))
def test_the_path_of_a_stop_is_the_rules_own_and_never_falls(closes: list[float], entry: float, atr: float) -> None:
    path = stop_path(list(range(len(closes))), closes, -1, entry, atr, StopRule(2.0, 2.0))

    stop, high = initial_stop(entry, atr, 2.0), entry
    for close in closes:
        stop, high, hit = advance_stop(close, stop, high, entry, atr, 2.0, 2.0)
        if hit:
            break
    stops = [move.stop for move in path]
    assert stops == sorted(set(stops))
    assert stops[-1] == stop


def test_the_same_said_on_end_is_one_ruling_for_each_symbol() -> None:
    said = [("BTC/USD", "HOLD"), ("ETH/USD", "BUY"), ("BTC/USD", "HOLD"), ("BTC/USD", "SELL"), ("BTC/USD", "HOLD")]
    decision_spans = [
        DecisionSpan(moment, moment, 1, symbol, decision, "so", "", None)
        for number, (symbol, decision) in enumerate(said)
        for moment in [NOON + timedelta(minutes=number)]
    ]

    merged = merge_decision_spans(decision_spans)

    assert [(row.symbol, row.decision, row.count) for row in merged] == [
        ("BTC/USD", "HOLD", 2),
        ("ETH/USD", "BUY", 1),
        ("BTC/USD", "SELL", 1),
        ("BTC/USD", "HOLD", 1),
    ]
    assert (merged[0].since, merged[0].until) == (NOON, NOON + timedelta(minutes=2))
