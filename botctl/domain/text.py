"""Text for people: prices, money, fractions and times in one format everywhere, and foreign text made safe."""

from datetime import datetime
from decimal import Decimal

from botctl.domain.money import cents

UNKNOWN = "-"
MAX_FOREIGN_TEXT = 200


def format_price(value: Decimal | float | None) -> str:
    """Two decimals from 100 on, six significant digits below."""
    if value is None:
        return UNKNOWN
    number = float(value)
    return f"{number:,.2f}" if abs(number) >= 100 else f"{number:.6g}"


def format_money(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{cents(value):,.2f}"


def format_signed(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{cents(value):+,.2f}"


def format_percent(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{cents(100 * value):z.2f} %"


def format_ratio(value: Decimal | float | None) -> str:
    return UNKNOWN if value is None else f"{cents(value) if isinstance(value, Decimal) else value:.2f}"


def format_time(value: datetime | None) -> str:
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M}"


def format_moment(value: datetime, now: datetime) -> str:
    """14:02 UTC for today, else with the date."""
    return f"{value:%H:%M} UTC" if value.date() == now.date() else f"{format_time(value)} UTC"


def printable(text: str) -> str:
    """`text` in the same lines, with escapes for what a terminal would obey."""
    if text.isprintable():
        return text
    return "\n".join(line if line.isprintable() else sanitize(line, 10 * len(line)) for line in text.split("\n"))


def sanitize(text: str, max_length: int = MAX_FOREIGN_TEXT) -> str:
    """`text` on one line of at most `max_length`, with escapes for control characters and lone surrogates."""
    # Terminals obey the former and databases refuse the latter, which JSON and command lines may contain.
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[: max_length + 1])
    line = "".join(shown)
    return line if len(line) <= max_length else f"{line[: max_length - 3]}..."


def describe_stop(stop: float | None) -> str:
    return "no stop" if stop is None else f"stop {stop:.8g}"
