"""Figures and foreign text as people read them: prices, money, fractions and moments in one form everywhere."""

from datetime import datetime
from decimal import Decimal

UNKNOWN = "-"
MAX_FOREIGN_TEXT = 200
"""Characters of a foreign text that are shown."""


def price(value: Decimal | float | None) -> str:
    """A price with as many digits as it needs: cents above 100, six significant ones below."""
    if value is None:
        return UNKNOWN
    number = float(value)
    return f"{number:,.2f}" if abs(number) >= 100 else f"{number:.6g}"


def money(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{value:,.2f}"


def signed(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{value:+,.2f}"


def percent(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:z.2f} %"


def ratio(value: Decimal | float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def moment(value: datetime | None) -> str:
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M}"


def sanitize(text: str, most: int = MAX_FOREIGN_TEXT) -> str:
    """`text` on one line and not too long, with escapes for what a terminal obeys or a database refuses to keep.

    That is control characters, and halves of characters: JSON may hold them, and so may a command line.
    """
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[: most + 1])
    line = "".join(shown)
    return line if len(line) <= most else f"{line[: most - 3]}..."
