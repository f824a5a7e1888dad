"""How the text of a setting becomes its value. Each parser raises ValueError with what the value must be."""

import re
from collections.abc import Callable
from decimal import Decimal

from botctl.domain.council_rules import CouncilRule
from botctl.domain.money import MAX_AMOUNT, MAX_EXPONENT, NUMBER, problem_with_separators, to_amount, to_decimal
from botctl.domain.sizing import Allocation, Sizing
from botctl.domain.symbols import ASSET_ALIASES, Timeframe, parse_symbol


def parse_amount(text: str) -> Decimal:
    if problem := problem_with_separators(text):
        raise ValueError(problem)
    try:
        return to_amount(text)
    except ValueError:
        too_large = NUMBER.fullmatch(text) and Decimal(text) >= MAX_AMOUNT
        raise ValueError(f"must be below {MAX_AMOUNT:f}" if too_large else "must be a number above zero") from None


def decimal_parser(low: str, high: str, *, include_low: bool = True) -> Callable[[str], Decimal]:
    """A parser for decimals from `low` to below `high`."""

    def parse(text: str) -> Decimal:
        if not NUMBER.fullmatch(text.strip()):
            raise ValueError(problem_with_separators(text) or "must be a number")
        number = Decimal(text.strip())
        if not Decimal(low) <= number < Decimal(high) or (number == Decimal(low) and not include_low):
            raise ValueError(f"must be {'at least' if include_low else 'above'} {low} and below {high}")
        try:
            return to_decimal(text)
        except ValueError:
            raise ValueError(f"must have at most {MAX_EXPONENT} decimals") from None

    return parse


def parse_share(text: str) -> Decimal:
    """A fraction above 0, at most 1: 0.005 or 0.5%."""
    number, percent, rest = text.partition("%")
    try:
        share = to_decimal(number) / (100 if percent else 1)
    except ValueError:
        problem = problem_with_separators(number)
        raise ValueError(problem or "must be a fraction such as 0.005, or 0.5%") from None
    if rest or not 0 < share <= 1:
        raise ValueError("must be above 0 and at most 1, as 0.005 or 0.5%")
    return share


def parse_sizing(text: str) -> Sizing:
    try:
        return Sizing(text.lower())
    except ValueError:
        raise ValueError(f"must be {' or '.join(Sizing)}") from None


def parse_allocation(text: str) -> Allocation:
    shares: dict[str, Decimal] = {}
    for part in text.split(","):
        asset, colon, share = (word.strip() for word in part.partition(":"))
        if not colon or not re.fullmatch(r"[A-Za-z0-9.]{1,40}", asset):
            raise ValueError("must list assets with their largest fraction of the equity, such as BTC:0.5,ETH:0.3")
        if (asset := ASSET_ALIASES.get(asset.upper(), asset.upper())) in shares:
            raise ValueError(f"names {asset} twice")
        try:
            shares[asset] = parse_share(share)
        except ValueError as error:
            raise ValueError(f"has {share!r:.40} for {asset}: it {error}") from None
    return Allocation(tuple(shares.items()))


def float_parser(low: str, high: str) -> Callable[[str], float]:
    parse = decimal_parser(low, high)
    return lambda text: float(parse(text))


def integer_parser(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def parse_symbols(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(parse_symbol(part) for part in text.split(",")))
    except ValueError as error:
        raise ValueError(f"must list symbols such as BTC/USD,ETH/USD; {error}") from None


def parse_currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{2,12}", text):
        raise ValueError("must be a currency such as USD")
    return text.upper()


def parse_assets(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",")))
    if not all(re.fullmatch(r"[A-Z0-9.]{1,40}", name) for name in names):
        raise ValueError("must list assets such as LUNA2,AIRDROP")
    return names


def parse_timeframe(text: str) -> Timeframe:
    if text not in Timeframe:
        raise ValueError(f"must be one of {', '.join(Timeframe)}")
    return Timeframe(text)


def parse_names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names):
        raise ValueError("must list agents such as technical,sentiment")
    return names


def parse_rule(text: str) -> CouncilRule:
    try:
        return CouncilRule(text.lower())
    except ValueError:
        raise ValueError("must be story, unanimous, majority or weights") from None


def parse_yes(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text.lower() == "yes"


def parse_on(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError("must be on or off")
    return text.lower() == "on"


def parse_level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def parse_page(text: str) -> str:
    """The path of a page, which is replaced: it must not be a database or candles."""
    if not text.lower().endswith(".html"):
        raise ValueError("must end in .html")
    return text


def problem_with_token(text: str) -> str | None:
    """What is wrong with a token that a browser sends in a header or an address; None when nothing is."""
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,200}", text):
        return "must be 16 to 200 letters, digits or ._~-, such as what `openssl rand -hex 16` prints"
    return None
