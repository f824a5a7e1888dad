"""Figures in one form, and words of strangers: whatever they hold, one line for a terminal and a database."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.text import (
    format_ago,
    format_amount,
    format_change,
    format_money,
    format_percent,
    format_price,
    format_ratio,
    format_short_amount,
    format_signed,
    format_time,
    printable,
    sanitize,
)

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(text=ANY_TEXT, most=st.integers(10, 300))
def test_any_text_becomes_one_short_line_that_can_be_kept(text: str, most: int) -> None:
    shown = sanitize(text, most)

    assert shown.isprintable()
    assert len(shown) <= most
    assert shown.encode().decode() == shown


@given(text=ANY_TEXT.filter(str.isprintable), most=st.integers(10, 300))
def test_plain_words_stay_as_they_are(text: str, most: int) -> None:
    assert sanitize(text, most) == text or len(text) > most


def test_what_a_terminal_obeys_is_shown_instead() -> None:
    assert sanitize("a\x1b[2Jb\nc\ud800") == "a\\x1b[2Jb\\nc\\ud800"


def test_lines_stay_and_each_is_shown_whole() -> None:
    assert printable("a\x1b[2J\nb ─ é\u202e\n") == "a\\x1b[2J\nb ─ é\\u202e\n"
    assert printable("\x00" * 500) == "\\x00" * 500


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (format_amount(Decimal("1234.50")), "1,234.5"),
        (format_amount(Decimal("1E-8")), "0.00000001"),
        (format_amount(Decimal("-1234")), "-1,234"),
        (format_short_amount(Decimal("0.00156095")), "0.001561"),
        (format_short_amount(Decimal("4050000.123")), "4,050,000"),
        (format_price(Decimal("51227.345"), 1), "51,227.3"),
        (format_price(51227.0, 1), "51,227.0"),
        (format_price(Decimal("0.00001234567")), "0.0000123457"),
        (format_price(Decimal("0.00001234567"), 2), "0.0000123457"),  # a price is never shown as nothing
        (format_price(104321.98765), "104,321.99"),
        (format_money(Decimal("1234.5"), "USD"), "1,234.50 USD"),
        (format_money(Decimal("0.00012345"), "BTC"), "0.00012345 BTC"),
        (format_money(Decimal("1234.5"), "JPY"), "1,235 JPY"),
        (format_money(Decimal("-0.004")), "0.00"),
        (format_signed(Decimal("-0.004"), "USD"), "0.00 USD"),
        (format_signed(Decimal("1234.5"), "USD", named=False), "+1,234.50"),
        (format_signed(Decimal("-1234.5")), "-1,234.50"),
        (format_percent(Decimal("0.01874")), "1.87 %"),
        (format_percent(Decimal("-0.00004")), "0.00 %"),
        (format_change(Decimal("0.01874")), "+1.87 %"),
        (format_change(Decimal("0.00004")), "0.00 %"),
        (format_ratio(-0.001), "0.00"),
        (format_time(NOON), "2025-03-01 12:00"),
        (format_ago(NOON, NOON + timedelta(minutes=3)), "3 min ago"),
        (format_ago(NOON, NOON), "just now"),
        (format_ago(NOON + timedelta(hours=1), NOON), "2025-03-01 13:00 UTC"),
        (format_ago(None, NOON), "never"),
    ],
)
def test_a_figure_has_one_form_everywhere(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    "write", [format_amount, format_short_amount, format_price, format_money, format_signed, format_percent]
)
@given(value=st.decimals(min_value="-1e12", max_value="1e12", allow_nan=False, places=18))
def test_a_figure_is_plain_digits_and_zero_has_no_sign(write: Callable[[Decimal], str], value: Decimal) -> None:
    shown = write(value)

    assert re.fullmatch(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?( %)?", shown)
    assert re.search("[1-9]", shown) or shown[0] not in "+-"
