"""What symbols and timeframes are called, and how long the latter are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.symbols import Timeframe, parse_symbol, resolve_symbol


def test_each_timeframe_is_as_long_as_its_name_says() -> None:
    lengths = {str(timeframe): timeframe.seconds for timeframe in Timeframe}

    assert lengths == {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}


@pytest.mark.parametrize("timeframe", Timeframe)
def test_a_length_names_its_timeframe(timeframe: Timeframe) -> None:
    assert Timeframe.from_seconds(timeframe.seconds) is timeframe


def test_a_length_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="120 seconds must be the length of one of 1m, 5m"):
        Timeframe.from_seconds(120)


KNOWN = ("BTC/USD", "ETH/USD", "DOGE/EUR")


@pytest.mark.parametrize("text", ["BTC/USD", "btc/usd", "BTC-USD", "xbt_usd", "XBT/USD", " BTC/USD "])
def test_a_symbol_with_a_separator_needs_no_known_one(text: str) -> None:
    assert parse_symbol(text) == resolve_symbol(text) == "BTC/USD"


@pytest.mark.parametrize("text", ["BTCUSD", "btcusd", "XBTUSD", "XXBTZUSD", "BTC", "xbt"])
def test_a_symbol_in_one_word_is_one_of_the_known(text: str) -> None:
    assert resolve_symbol(text, KNOWN) == "BTC/USD"
    with pytest.raises(ValueError, match="is not a symbol"):
        parse_symbol(text)


def test_kraken_s_own_name_of_an_asset_is_understood_in_one_word_too() -> None:
    assert resolve_symbol("XDG", KNOWN) == resolve_symbol("XDGEUR", KNOWN) == "DOGE/EUR"


@pytest.mark.parametrize(("text", "meant"), [("SOLUSD", "SOL/USD"), ("SOL", "like BTC/USD"), ("BTCEUR", "BTC/EUR")])
def test_a_symbol_that_is_not_known_is_never_guessed(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"not one of the known symbols .BTC/USD, ETH/USD, DOGE/EUR.: write .*{meant}"):
        resolve_symbol(text, KNOWN)


def test_a_word_that_fits_several_symbols_is_refused_with_all_of_them() -> None:
    with pytest.raises(ValueError, match="'BTC' may mean BTC/USD or BTC/EUR"):
        resolve_symbol("BTC", ["BTC/USD", "BTC/EUR"])


def test_the_first_list_with_a_match_decides() -> None:
    assert resolve_symbol("BTC", ["BTC/EUR"], ["BTC/USD"]) == "BTC/EUR"
    assert resolve_symbol("ETH", ["BTC/EUR"], ["ETH/USD", "BTC/USD"]) == "ETH/USD"


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_known_symbol_or_refused(text: str) -> None:
    try:
        found = resolve_symbol(text, KNOWN)
    except ValueError:
        return
    assert found in KNOWN or parse_symbol(text) == found
