"""A replayed stop is the one that ticks would have left, from candles that had closed at the entry."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.candles import Candle
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.errors import Refused
from botctl.domain.stops import advance_stop, initial_stop
from botctl.market_data.indicators import calculate_atr
from botctl.reconciliation.stop_reconstruction import atr_at, reconstruct_stop

SETTINGS = parse_settings({})
QUARTER = 900
START = 1795348800
ENTRY, ATR = Decimal(50000), 500.0


def candle(number: int, close: float, span: float = 500) -> Candle:
    return Candle(START + number * QUARTER, close, close + span / 2, close - span / 2, close, 1.0)


def moment(number: float) -> datetime:
    """So many quarters after the first candle opened."""
    return datetime.fromtimestamp(START, UTC) + timedelta(seconds=number * QUARTER)


@given(closes=st.lists(st.floats(45000, 60000), max_size=30))
def test_it_is_where_a_check_at_each_close_would_have_left_it(closes: list[float]) -> None:
    candles = [candle(number, 70000) for number in range(5)]  # from before the entry: they play no part
    candles += [candle(5 + number, close) for number, close in enumerate(closes)]

    replay = reconstruct_stop(candles, ENTRY, moment(5.5), ATR, SETTINGS)

    stop, high, hit = initial_stop(50000.0, ATR, 2.0), 50000.0, False
    for close in closes:
        stop, high, hit = advance_stop(close, stop, high, 50000.0, ATR, 2.0, 2.0)
        if hit:
            break
    assert (replay.stop, replay.high, replay.hit is not None) == (stop, high, hit)
    assert replay.stop >= 49000


def test_it_tells_up_to_where_closes_were_looked_at() -> None:
    candles = [candle(number, 50000) for number in range(9)]

    assert reconstruct_stop(candles, ENTRY, moment(5.5), ATR, SETTINGS).checked_at == moment(9)
    assert reconstruct_stop(candles, ENTRY, moment(9.5), ATR, SETTINGS).checked_at == moment(9.5)


def test_candles_that_do_not_reach_back_to_the_entry_are_said() -> None:
    replay = reconstruct_stop([candle(0, 50000)], ENTRY, moment(-3), ATR, SETTINGS)

    assert "reach back to" in replay.notes[0]
    assert reconstruct_stop([candle(0, 50000)], ENTRY, moment(0), ATR, SETTINGS).notes == ()


def test_the_atr_is_of_the_candles_that_had_closed() -> None:
    candles = [candle(number, 50000, 500 if number < 150 else 9000) for number in range(200)]

    assert atr_at(candles, moment(150), SETTINGS) == (calculate_atr(candles[:150], 14), "")
    assert atr_at(candles, moment(150.9), SETTINGS) == (calculate_atr(candles[:150], 14), "")


@pytest.mark.parametrize("at", [0, 50, 113])
def test_where_too_few_had_closed_the_oldest_there_are_serve_and_that_is_said(at: int) -> None:
    candles = [candle(number, 50000, 500 if number < 114 else 9000) for number in range(200)]

    atr, note = atr_at(candles, moment(at), SETTINGS)

    assert atr == calculate_atr(candles[:114], 14)
    assert "oldest 114" in note


def test_too_few_candles_carry_no_stop() -> None:
    with pytest.raises(Refused, match="too few"):
        atr_at([candle(number, 50000) for number in range(113)], moment(200), SETTINGS)
