"""When a quote is a price: contradictions, moves that the time passed allows, two looks that agree, absurd closes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.markets import (
    FAR,
    KnownPrice,
    Quote,
    contradiction_in,
    doubt_about,
    implausible_atr,
    quotes_agree,
    scale_atr,
    without_absurd_closes,
)

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
LIES = [Decimal(factor) for factor in ("0.001", "0.1", "0.5", "2", "10", "1000")]
prices = st.floats(min_value=1e-6, max_value=1e9)
shares = st.floats(min_value=0, max_value=0.5)


def quote(last: float | Decimal, bid: float | Decimal | None = None, ask: float | Decimal | None = None) -> Quote:
    """Without bid and ask there is no spread."""
    figures = [Decimal(str(last if price is None else price)) for price in (last, bid, ask)]
    return Quote("BTC/USD", *figures, NOON)


def known(price: float, atr: float = 0.01, candles: float = 0.0) -> KnownPrice:
    return KnownPrice(price, price, atr * price, candles)


@given(atr=prices, candle=st.floats(60, 86_400), seconds=st.floats(1, 1e6))
def test_the_atr_of_a_part_of_a_candle_is_less_and_of_more_than_one_the_same(
    atr: float, candle: float, seconds: float
) -> None:
    scaled = scale_atr(atr, candle, seconds)

    assert scaled <= atr
    assert scaled == (atr if seconds >= candle else pytest.approx(atr * (seconds / candle) ** 0.5))


@given(price=prices, atr=shares, candles=st.floats(min_value=0, max_value=1e6))
def test_the_allowed_range_is_never_less_than_ten_atr_or_thirty_percent_up_to_a_factor_of_two(
    price: float, atr: float, candles: float
) -> None:
    lowest, highest = known(price, atr, candles).plausible_range()

    least = max(10 * atr, 0.30)
    assert highest >= price * min(1 + least, FAR) * (1 - 1e-9)
    assert lowest <= price * max(1 - least, 1 / FAR) * (1 + 1e-9)
    assert price / FAR * (1 - 1e-9) <= lowest <= price <= highest <= price * FAR * (1 + 1e-9)


@given(price=prices, atr=shares, earlier=st.floats(0, 1e6), later=st.floats(0, 1e6))
def test_more_time_never_allows_less(price: float, atr: float, earlier: float, later: float) -> None:
    earlier, later = sorted((earlier, later))
    narrow, wide = known(price, atr, earlier).plausible_range(), known(price, atr, later).plausible_range()

    assert wide[0] <= narrow[0]
    assert narrow[1] <= wide[1]


@given(price=prices, spread=st.floats(0, 0.3), atr=shares)
def test_a_quote_at_the_known_price_is_a_price(price: float, spread: float, atr: float) -> None:
    assert doubt_about(quote(price, price * (1 - spread), price * (1 + spread)), known(price, atr)) is None


@pytest.mark.parametrize("factor", LIES)
@pytest.mark.parametrize("figures", ["last", "bid", "ask", "bid ask", "last bid", "last ask", "last bid ask"])
def test_every_figure_that_is_wrong_is_doubted(figures: str, factor: Decimal) -> None:
    lie = {name: 100 * factor if name in figures.split() else Decimal(100) for name in ("last", "bid", "ask")}

    hidden = figures == "last bid ask" and factor in (Decimal("0.5"), Decimal(2))  # just what a factor of two allows
    calm = known(100.0)
    assert hidden or doubt_about(quote(**lie), calm) is not None
    assert doubt_about(quote(**lie), KnownPrice(100, 100, 1)) is not None


def test_an_answer_dated_an_hour_ago_is_doubted_and_confirms_nothing() -> None:
    now = quote(100)
    old = Quote("BTC/USD", now.last, now.bid, now.ask, NOON, date_gap=timedelta(hours=-1))

    assert contradiction_in(old) == "its answer is dated 1:00:00 before now"
    assert not quotes_agree(old, old, 90, 1)
    assert not quotes_agree(now, old, 90, 1)


@given(first=prices, second=prices, stop=prices, atr=shares)
def test_two_quotes_on_different_sides_of_the_stop_never_agree(
    first: float, second: float, stop: float, atr: float
) -> None:
    agree = quotes_agree(quote(first), quote(second), stop, atr * first)

    assert not agree or (first <= stop) == (second <= stop)
    assert not agree or second / FAR * 0.99 <= first <= second * FAR * 1.01


@given(last=prices, bid=prices, spread=shares)
def test_the_stop_price_is_the_lower_of_last_and_ask_unless_the_book_is_far_above(
    last: float, bid: float, spread: float
) -> None:
    ask = bid * (1 + spread)

    price = float(quote(last, bid, ask).stop_price)

    assert price == (ask if bid > 1.5 * last else min(last, ask)) or bid == pytest.approx(1.5 * last)


def test_a_book_whose_bid_is_above_its_ask_decides_nothing() -> None:
    assert quote(100, bid=100, ask=10).stop_price == 100


@given(
    closes=st.lists(st.floats(95, 105), min_size=2, max_size=20), place=st.integers(0, 19), factor=st.sampled_from(LIES)
)
def test_one_absurd_close_is_left_out_and_no_other(closes: list[float], place: int, factor: Decimal) -> None:
    place %= len(closes)
    spoiled = [*closes[:place], closes[place] * float(factor), *closes[place + 1 :]]

    assert without_absurd_closes(closes, known(100.0), 100.0) == closes
    assert without_absurd_closes(spoiled, known(100.0), 100.0) == [*closes[:place], *closes[place + 1 :]]


def test_a_close_that_the_next_one_confirms_is_kept() -> None:
    assert without_absurd_closes([100, 50, 49, 48], known(100.0), 48.0) == [100, 50, 49, 48]


def test_an_atr_needs_room_between_the_spread_and_a_third_of_the_price() -> None:
    assert implausible_atr(quote(100, 99, 101), atr=1.0, stop=98.0) is None
    assert "inside the spread of 99 to 101" in (implausible_atr(quote(100, 99, 101), atr=0.5, stop=99.5) or "")
    assert "more than a third" in (implausible_atr(quote(100, 99, 101), atr=40.0, stop=21.0) or "")
