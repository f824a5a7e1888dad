"""Exact money: decimals from text and to text, rounded only on request."""

import re
from collections.abc import Iterable, Iterator
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

MAX_AMOUNT = Decimal("1e12")
"""Amounts, costs and prices are below this: a larger figure is a mistake."""
MIN_AMOUNT = Decimal("1e-18")
"""Anything smaller is rejected: the rules use float64, which must not lose it."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
"""Plain digits: Decimal itself also accepts 1_000, digits of other scripts, nan and inf."""
GROUPED = re.compile(r"[1-9][0-9]{0,2}([.,' ][0-9]{3})+")
"""What may be a whole number with separators before its thousands."""
SEPARATED = re.compile(r"[0-9]+([.,' ][0-9]+)+")
WIDE_CONTEXT = Context(prec=100)
"""Enough digits for any amount, so that truncating never rounds first."""
EXACT = (str, int, Decimal)
"""A tuple, because a union of types would be built anew for each of the thousands of figures of an answer."""
MAX_EXPONENT = 30
"""Digits before or after the point. No account has more, and they would print as a page of zeros."""


def to_decimal(value: object) -> Decimal:
    """Text, int or Decimal as a finite Decimal. Raises ValueError for anything else, also for an inexact float."""
    exact = isinstance(value, EXACT) and not isinstance(value, bool)
    if not exact or not NUMBER.fullmatch(text := str(value).strip()):
        raise ValueError(f"{value!r:.60} is not a decimal number")
    number = Decimal(text)
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"{value!r:.60} is out of range: more than {MAX_EXPONENT} digits before or after the point")
    return number


def to_amount(value: object) -> Decimal:
    """`value` as a positive Decimal below `MAX_AMOUNT`. Raises ValueError."""
    number = to_decimal(value)
    if number < MIN_AMOUNT:
        raise ValueError(f"{value!s:.60} must be more than zero")
    if number >= MAX_AMOUNT:
        raise ValueError(f"{value!s:.60} is too large: it must be below {MAX_AMOUNT:f}")
    return number


def problem_with_separators(text: str, *, points: bool = True) -> str:
    """Why a number such as 1,000 or 1.000,50 is refused, with what it may mean; empty for one that is clear.

    `points` is whether 1.000 is in doubt too: an amount of money hardly has three decimals, one of an asset often has.
    """
    text = text.strip()
    if not SEPARATED.fullmatch(text) or (set(re.sub("[0-9]", "", text)) == {"."} and not points):
        return ""
    if re.fullmatch(r"[0-9]+[.][0-9]+", text) and not GROUPED.fullmatch(text):
        return ""
    if not (readings := " or ".join(dict.fromkeys(_readings(text)))):
        return ""
    return f"may mean {readings}: write {readings}"


def _readings(text: str) -> Iterator[str]:
    """The whole number if the separators are before thousands, and the fraction if one of them is the decimal point."""
    marks = list(dict.fromkeys(re.sub("[0-9]", "", text)))
    if len(marks) == 1 and GROUPED.fullmatch(text):
        yield re.sub("[^0-9]", "", text)
    for mark in reversed(marks):
        if text.count(mark) == 1 and mark in ".,":
            whole, decimals = (re.sub("[^0-9]", "", part) for part in text.split(mark))
            yield f"{whole.lstrip('0') or '0'}.{decimals.rstrip('0') or '0'}"


def floor_to(amount: Decimal, decimals: int) -> Decimal:
    """`amount` truncated (never rounded up) to `decimals` places, as an exchange requires of a volume."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN, context=WIDE_CONTEXT)


def decimals_of(amount: Decimal) -> int:
    """The number of decimals that `amount` needs: 3 for 0.00200."""
    exponent = amount.normalize(WIDE_CONTEXT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def format_decimal(number: Decimal) -> str:
    """`number` without an exponent and trailing zeros: 0.0001, not 1E-4 or 0.00010000."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(figure: Decimal, decimals: int) -> Decimal:
    """`figure` to so many decimals for people, ties away from zero.

    Formatting alone would follow the decimal context, whose rounding ccxt changes.
    """
    return figure.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, WIDE_CONTEXT)


def cents(figure: Decimal | None) -> Decimal:
    """Two decimals for people, see `rounded`; 0 for None."""
    return rounded(figure or Decimal(0), 2)


def total(figures: Iterable[Decimal]) -> Decimal:
    """The sum, as a Decimal even of nothing."""
    return sum(figures, Decimal(0))


def price_of(cost: Decimal, amount: Decimal) -> Decimal:
    """The average price: cost / amount, in quote per asset, to 28 significant digits."""
    return cost / amount
