"""Symbols and timeframes."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Self

SECONDS_PER_UNIT = {"m": 60, "h": 3600, "d": 86400}
ASSET_ALIASES = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's own names of two assets. An asset must have one name, or it could be bought twice."""
SYMBOL = re.compile(r"([A-Z0-9]{1,12})[/_-]([A-Z0-9]{1,12})")
COMMON_QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "BTC", "ETH")
MAX_LISTED = 6
"""Known symbols that an error names."""


class Timeframe(StrEnum):
    MINUTE = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    MINUTES_30 = "30m"
    HOUR = "1h"
    HOURS_4 = "4h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        return int(self[:-1]) * SECONDS_PER_UNIT[self[-1]]

    @classmethod
    def from_seconds(cls, seconds: int) -> Self:
        """The timeframe of this length. Raises ValueError."""
        for timeframe in cls:
            if timeframe.seconds == seconds:
                return timeframe
        raise ValueError(f"{seconds} seconds must be the length of one of {', '.join(cls)}")


def problem_with_signals(signals: Timeframe, timeframe: Timeframe) -> str | None:
    """Why SIGNAL_TIMEFRAME can't go with TIMEFRAME; None when each signal candle is a whole number of candles."""
    if signals.seconds % timeframe.seconds == 0:
        return None
    return f"SIGNAL_TIMEFRAME={str(signals)!r} must be as long as TIMEFRAME={timeframe}, or a multiple of it"


def parse_symbol(text: str) -> str:
    """`text`, such as BTC/USD, btc-usd or XBT_USD, as a symbol such as BTC/USD. Raises ValueError."""
    found = SYMBOL.fullmatch(text.strip().upper())
    if found is None:
        raise ValueError(f"{text!r:.60} is not a symbol: write it like {_likely_symbol(text) or 'BTC/USD'}")
    base, quote = (ASSET_ALIASES.get(part, part) for part in found.groups())
    return f"{base}/{quote}"


def resolve_symbol(text: str, *known: Sequence[str]) -> str:
    """`text` as a symbol: as parse_symbol reads it, else as one of the `known` symbols without a separator, or by its
    asset alone: BTCUSD, XBTUSD, BTC.

    The first of the sequences with a match decides. Raises ValueError for what is not known or fits several.
    """
    try:
        return parse_symbol(text)
    except ValueError:
        word = text.strip().upper()
        for symbols in known:
            matches = [symbol for symbol in dict.fromkeys(symbols) if word in _spellings(symbol)]
            if len(matches) > 1:
                raise ValueError(f"{text!r:.60} may mean {' or '.join(matches)}: write one of them") from None
            if matches:
                return matches[0]
        listed = ", ".join(list(dict.fromkeys(symbol for symbols in known for symbol in symbols))[:MAX_LISTED])
        likely = _likely_symbol(text)
        advice = f"write {likely} if you mean that" if likely else "write it like BTC/USD"
        raise ValueError(f"{text!r:.60} is not one of the known symbols ({listed}): {advice}") from None


def _spellings(symbol: str) -> Iterator[str]:
    """How a known symbol may be written without a separator: its asset, both together, and Kraken's own id."""
    base, quote = (_names_of(part) for part in symbol.split("/"))
    for asset in base:
        yield asset
        for currency in quote:
            yield from (f"{asset}{currency}", f"X{asset}Z{currency}")


def _names_of(asset: str) -> list[str]:
    return [asset, *(alias for alias, name in ASSET_ALIASES.items() if name == asset)]


def _likely_symbol(text: str) -> str:
    """What one word such as SOLUSD probably means: for a question only, never to trade."""
    word = text.strip().upper()
    for quote in COMMON_QUOTES:
        base = word.removesuffix(quote)
        if re.fullmatch(r"[A-Z0-9]{2,10}", base) and base != word:
            return f"{ASSET_ALIASES.get(base, base)}/{quote}"
    return ""


def base_of(symbol: str) -> str:
    """The asset of a symbol: BTC for BTC/USD."""
    return symbol.split("/")[0]


def quote_of(symbol: str) -> str:
    """The currency a symbol is counted in: USD for BTC/USD."""
    return symbol.split("/")[1]
