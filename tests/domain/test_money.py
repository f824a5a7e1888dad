"""Money keeps every digit, and what is no number never becomes one."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.money import (
    MAX_AMOUNT,
    MAX_EXPONENT,
    MIN_AMOUNT,
    floor_to,
    format_decimal,
    price_of,
    problem_with_separators,
    to_amount,
    to_decimal,
)
from botctl.domain.text import format_money, format_percent, format_signed

decimals = st.decimals(allow_nan=False, allow_infinity=False)
amounts = st.decimals(min_value="0", max_value="1e12", places=12)


@given(decimals.filter(lambda number: abs(number.adjusted()) <= MAX_EXPONENT))
def test_a_decimal_comes_through_text_unchanged(number: Decimal) -> None:
    assert to_decimal(str(number)) == to_decimal(number) == number


@pytest.mark.parametrize("text", ["1e31", "-1e400", "9" * 400, "1e-31", "0e-400", f"0.{'0' * 60}1"])
def test_a_figure_with_a_page_of_zeros_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        to_decimal(text)


@pytest.mark.parametrize(
    "value",
    [
        "nan",
        "NaN",
        "sNaN",
        "inf",
        "-Infinity",
        "",
        " ",
        "abc",
        "1,5",
        "5 USD",
        "1.2.3",
        "0x10",
        "--1",
        0.1,
        True,
        None,
        [],
        b"1",
    ],
)
def test_what_is_no_finite_exact_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        to_decimal(value)


@given(decimals)
def test_an_amount_is_above_zero_and_below_the_most(number: Decimal) -> None:
    if MIN_AMOUNT <= number < MAX_AMOUNT:
        assert to_amount(str(number)) == number
    else:
        with pytest.raises(ValueError):
            to_amount(str(number))


@given(amounts, st.integers(min_value=0, max_value=10))
def test_cutting_never_rounds_up_and_loses_less_than_one_step(amount: Decimal, places: int) -> None:
    cut = floor_to(amount, places)

    assert 0 <= cut <= amount < cut + Decimal(1).scaleb(-places)
    assert cut == cut.quantize(Decimal(1).scaleb(-places))
    assert floor_to(cut, places) == cut


@pytest.mark.parametrize("text", ["0.00199999999999999999999999999999999", "1.99999999999999999999999999999999999999"])
def test_cutting_never_rounds_up_however_many_digits_there_are(text: str) -> None:
    """A person may type more digits than the decimal context holds."""
    assert floor_to(Decimal(text), 8) <= Decimal(text)


def test_more_digits_than_the_context_holds_are_cut_too() -> None:
    assert floor_to(Decimal("123456789012.123456789"), 8) == Decimal("123456789012.12345678")
    assert floor_to(Decimal("1e-30"), 8) == 0


@given(decimals.filter(lambda number: abs(number.adjusted()) < 100))
def test_plain_text_has_no_exponent_and_loses_nothing(number: Decimal) -> None:
    text = format_decimal(number)

    assert Decimal(text) == number
    assert "E" not in text.upper()
    assert not ("." in text and text.endswith(("0", ".")))


@given(st.decimals("0.00001", "1e6", places=5), st.decimals("0.00000001", "1e6", places=8))
def test_an_average_price_gives_its_cost_back(cost: Decimal, amount: Decimal) -> None:
    assert abs(price_of(cost, amount) * amount - cost) <= cost * Decimal("1e-26")


def test_a_figure_is_shown_the_same_whatever_the_decimal_context_says() -> None:
    """ccxt changes the rounding of the whole process."""
    shown = set()
    for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP):
        with localcontext(rounding=rounding):
            shown.add(
                (format_money(Decimal("0.225")), format_signed(Decimal("-0.225")), format_percent(Decimal("0.00225")))
            )

    assert shown == {("0.23", "-0.23", "0.23 %")}


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("1,000", "1000 or 1.0"),
        ("10.000", "10000 or 10.0"),
        ("1.500", "1500 or 1.5"),
        ("1.000,50", "1000.5 or 1.0005"),
        ("1,000.50", "1000.5 or 1.0005"),
        ("1.000.000", "1000000"),
        ("1 000", "1000"),
        ("1,5", "1.5"),
        ("0,05", "0.05"),
    ],
)
def test_a_number_with_separators_is_refused_with_what_it_may_mean(text: str, readings: str) -> None:
    assert problem_with_separators(text) == f"may mean {readings}: write {readings}"
    for reading in readings.split(" or "):
        assert problem_with_separators(reading) == ""
        assert to_amount(reading) > 0


@pytest.mark.parametrize("text", ["1000", "0.125", "10.00", "1.5000", "100.5", "1e3", "1.2.3", "abc", "", "1,", ",5"])
def test_a_number_with_one_reading_or_none_has_no_problem_with_separators(text: str) -> None:
    assert problem_with_separators(text) == ""


def test_an_amount_of_an_asset_may_have_three_decimals() -> None:
    assert problem_with_separators("1.500", points=False) == ""
    assert problem_with_separators("1,500", points=False) == "may mean 1500 or 1.5: write 1500 or 1.5"
