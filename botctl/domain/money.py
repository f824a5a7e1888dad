"""Money that is owed: decimals from text, to text, rounded only where somebody says so."""

import re
from collections.abc import Iterable
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation

MAX_AMOUNT = Decimal("1e12")
"""No amount, cost or price that botctl handles reaches this: a larger figure is a mistake, not money."""

MIN_AMOUNT = Decimal("1e-18")
"""Anything below is zero: float64, in which rules count, must not lose it."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
"""Plain digits: Decimal itself also takes 1_000, other scripts' digits, nan and inf."""
ROOMY = Context(prec=100)
"""Digits enough for any amount, so that cutting never rounds first."""
FARTHEST = 30
"""Places before or behind the point. What has more is no figure of anybody's account, and a page of zeros in print."""


def to_decimal(value: object) -> Decimal:
    """`value` (text, int or Decimal) as a finite Decimal.

    Raises ValueError for anything else: `nan` and `inf` parse as decimals, and floats have already lost digits.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"{value!r:.60} is not a decimal number")
    text = str(value).strip()
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{value!r:.60} is not a decimal number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r:.60} is not a decimal number") from None
    if not number.is_finite() or abs(number.adjusted()) > FARTHEST:
        raise ValueError(f"{value!r:.60} is not a number that anybody counts in")
    return number


def to_amount(value: object) -> Decimal:
    """`value` as a positive Decimal below `MOST`. Raises ValueError with a sentence that fits behind the value."""
    number = to_decimal(value)
    if number < MIN_AMOUNT:
        raise ValueError(f"{value!s:.60} must be more than zero")
    if number >= MAX_AMOUNT:
        raise ValueError(f"{value!s:.60} is more than botctl handles (below {MAX_AMOUNT:f})")
    return number


def floor_to(amount: Decimal, decimals: int) -> Decimal:
    """`amount` cut (never rounded up) to `decimals` places: what an exchange accepts as a volume."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN, context=ROOMY)


def format_decimal(number: Decimal) -> str:
    """`number` as text without an exponent and without trailing zeros: 0.0001, not 1E-4 nor 0.00010000."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def total(figures: Iterable[Decimal]) -> Decimal:
    """The sum of decimals, zero for none."""
    return sum(figures, Decimal(0))


def price_of(cost: Decimal, amount: Decimal) -> Decimal:
    """The average price: cost by amount, in quote per asset, to 28 significant digits."""
    return cost / amount
