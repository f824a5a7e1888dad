"""Candles that can't be are refused, and one asset has one name."""

from datetime import UTC, datetime
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.candles import Candle, check_candle
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
        "BTC-USD",
        "B TC/USD",
        "BTC/USD,",
        "₿/USD",
        "../../passwd",
    ],
)
def test_what_is_no_symbol_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a symbol"):
        parse_symbol(text)
