"""Text for people: amounts, prices, money, fractions and times in one format everywhere, and foreign text made safe.

Figures have separators of thousands and an ordinary minus; `--json` has them exact, without. Zero has no sign, and a
sign `+` means a change. What is not known is `-`.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.freshness import format_duration as format_duration
from botctl.domain.money import format_decimal, rounded

UNKNOWN = "-"
MAX_FOREIGN_TEXT = 200
SIGNIFICANT = 6
"""Digits of a price where nobody knows the market's own decimals."""
SHORT_DIGITS = 5
SHORT_ID = 10
CENTS = 2
PRICE_IN_TEXT = re.compile(r"\b(price|at) (\d{1,15}(?:\.\d{1,30})?(?:e[+-]\d\d)?)(?![\w.:-])")
MONEY_DECIMALS = {"JPY": 0, "BTC": 8, "ETH": 8}
"""Currencies whose sums are not counted in cents."""


def format_amount(value: Decimal | None) -> str:
    """An amount of an asset, all its digits and no trailing zeros: 1,234.5."""
    if value is None:
        return UNKNOWN
    whole, point, decimals = format_decimal(value).partition(".")
    sign = "-" if whole.startswith("-") and value else ""
    return f"{sign}{int(whole.lstrip('-') or 0):,}{point}{decimals}"


def format_short_amount(value: Decimal | None) -> str:
    """The same to about five digits, for a table that has no room for all of them."""
    return format_amount(value and rounded(value, max(0, SHORT_DIGITS - 1 - value.adjusted())))


def format_price(value: Decimal | float | None, decimals: int | None = None) -> str:
    """A price with the market's own `decimals`. Where they are not known: two from 100 on, six digits below."""
    if value is None:
        return UNKNOWN
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite():
        return UNKNOWN
    if decimals is not None and (rounded(number, decimals) or not number):
        return _figure(number, decimals)
    if abs(number) >= 100:
        return _figure(number, CENTS)
    return format_amount(number and rounded(number, SIGNIFICANT - 1 - number.adjusted()))


def with_prices(text: str, decimals: int | None) -> str:
    """A sentence of the audit trail, its prices in the form of all others: "price 52000" and "at 62656.513"."""
    return PRICE_IN_TEXT.sub(lambda found: f"{found[1]} {format_price(Decimal(found[2]), decimals)}", text)


def format_money(value: Decimal | None, currency: str = "", *, named: bool = True) -> str:
    """A sum: 1,234.50. Of a `currency` with its decimals and, unless it is not to be `named`, its code."""
    if value is None:
        return UNKNOWN
    return _with_code(_figure(value, money_decimals(currency)), currency if named else "")


def format_signed(value: Decimal | None, currency: str = "", *, named: bool = True) -> str:
    """A change, as a profit, with its sign: +1,234.50. See `format_money`."""
    if value is None:
        return UNKNOWN
    return _with_code(_figure(value, money_decimals(currency), "+"), currency if named else "")


def money_decimals(currency: str) -> int:
    return MONEY_DECIMALS.get(currency, CENTS)


def format_percent(value: Decimal | None) -> str:
    """A fraction as 1.87 %."""
    return UNKNOWN if value is None else f"{_figure(100 * value, CENTS)} %"


def below_or_above(drawdown: Decimal, what: str) -> str:
    """A drawdown in words: 0.12 % below the start, or above it where it is a gain."""
    return f"{format_percent(abs(drawdown))} {'below' if drawdown >= 0 else 'above'} {what}"


def format_change(value: Decimal | None) -> str:
    """A fraction by which something has changed, with its sign: +1.87 %."""
    return UNKNOWN if value is None else f"{_figure(100 * value, CENTS, '+')} %"


def format_ratio(value: Decimal | float | None) -> str:
    if value is None:
        return UNKNOWN
    return _figure(value, CENTS) if isinstance(value, Decimal) else f"{value:z.2f}"


def format_time(value: datetime | None, *, seconds: bool = False) -> str:
    """A moment in UTC, as everything here is: 2026-11-27 14:02."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M:%S}" if seconds else f"{value:%Y-%m-%d %H:%M}"


def format_ago(value: datetime | None, now: datetime) -> str:
    """How long ago a moment was: 3 min ago. `never` for None; the moment itself where it is to come."""
    if value is None:
        return "never"
    if value - now > timedelta(minutes=1):
        return f"{format_time(value)} UTC"
    return "just now" if now - value < timedelta(seconds=30) else f"{format_duration(now - value)} ago"


def format_age(value: datetime | None, now: datetime) -> str:
    """As `format_ago`, to the second for what is read again and again: 5 s ago."""
    age = None if value is None else now - value
    if age is None or not timedelta(0) <= age < timedelta(minutes=2):
        return format_ago(value, now)
    return f"{int(age.total_seconds())} s ago" if age >= timedelta(seconds=1) else "just now"


def short_id(text: str) -> str:
    """The beginning of an order's id, enough to tell it from the others of a list: OABCDE of OABCDE-FGHIJ-KLMNOP."""
    return text.split("-")[0][:SHORT_ID]


def _figure(number: Decimal, decimals: int, sign: str = "") -> str:
    exact = rounded(number, decimals)
    return f"{exact:{sign if exact else ''}z,f}"


def _with_code(figure: str, currency: str) -> str:
    return f"{figure} {currency}" if currency else figure


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


def counted(number: int, one: str, many: str = "") -> str:
    """`1 trade`, `2 trades`; `many` for what does not take a plain s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def describe_stop(stop: float | None) -> str:
    return "no stop" if stop is None else f"stop {stop:.8g}"
