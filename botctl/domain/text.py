"""Figures as people read them: prices, money, fractions and moments in words of one form everywhere."""

from datetime import datetime
from decimal import Decimal

UNKNOWN = "-"


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
