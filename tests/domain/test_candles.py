"""Candles that can't be are refused, and one asset has one name."""

from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.candles import Candle, check_candle, is_new_signal, newest_boundary, to_unix
from botctl.domain.symbols import base_of, parse_symbol, quote_of

prices = st.floats(min_value=1e-9, max_value=1e12)
names = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)


@given(prices, prices, prices, prices)
def test_a_candle_passes_exactly_when_its_low_and_high_embrace_it(
    opened: float, high: float, low: float, close: float
) -> None:
    candle = Candle(0, opened, high, low, close, 1.0)

    if low <= min(opened, close) and high >= max(opened, close):
        assert check_candle(candle) is candle
    else:
        with pytest.raises(ValueError):
            check_candle(candle)


@pytest.mark.parametrize("bad", [nan, inf, -inf, 0.0, -1.0])
@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_a_figure_that_is_no_price_makes_a_candle_none(place: int, bad: float) -> None:
    figures = [0, 10.0, 10.0, 10.0, 10.0, 1.0]
    figures[place] = bad

    with pytest.raises(ValueError):
        check_candle(Candle(*figures))  # type: ignore[arg-type]


def test_a_candle_closes_its_length_after_it_opened() -> None:
    assert Candle(1_700_000_100, 1, 1, 1, 1, 0).closed_at(900) == datetime.fromtimestamp(1_700_001_000, UTC)


@given(names, names)
def test_a_symbol_is_read_in_any_case_and_stays_itself(base: str, quote: str) -> None:
    symbol = parse_symbol(f" {base.lower()}/{quote} ")

    assert parse_symbol(symbol) == symbol
    assert f"{base_of(symbol)}/{quote_of(symbol)}" == symbol


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("xbt/usd", "BTC/USD"), ("XDG/EUR", "DOGE/EUR"), ("ETH/XBT", "ETH/BTC"), ("btc/usd", "BTC/USD")],
)
def test_krakens_old_names_are_the_same_asset(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "BTC",
        "BTCUSD",
        "BTC/",
        "/USD",
        "BTC/USD/EUR",
        "B TC/USD",
        "BTC/USD,",
        "₿/USD",
        "../../passwd",
    ],
)
def test_what_is_no_symbol_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a symbol"):
        parse_symbol(text)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600


@pytest.mark.parametrize(
    ("closed", "decided", "sits"),
    [
        (0, None, True),
        (0, -HOUR, True),
        (0, 0, False),
        (-HOUR, 0, False),  # an old answer
        (-HOUR, 9 * HOUR, True),  # the clock of that sitting was wrong
        (9 * HOUR, 9 * HOUR, False),
    ],
)
def test_the_council_sits_for_a_candle_that_it_has_not_decided_for(
    closed: int, decided: int | None, sits: bool
) -> None:
    """In seconds from noon, and it is half past."""
    noon = to_unix(NOON)
    decided_at = None if decided is None else noon + decided

    assert is_new_signal(noon + closed, decided_at, NOON + timedelta(minutes=30)) is sits


def test_signal_candles_end_at_multiples_of_their_length() -> None:
    now = NOON + timedelta(hours=3, minutes=59)

    assert newest_boundary(now, 4 * HOUR) == to_unix(NOON)
    assert newest_boundary(now + timedelta(minutes=1), 4 * HOUR) == to_unix(NOON) + 4 * HOUR
    assert newest_boundary(now, 24 * HOUR) == to_unix(NOON) - 12 * HOUR
