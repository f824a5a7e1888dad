"""Symbols and timeframes."""

import re
from enum import StrEnum
from typing import Self

SECONDS_PER_UNIT = {"m": 60, "h": 3600, "d": 86400}
ASSET_ALIASES = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's own names of two assets. An asset must have one name, or it could be bought twice."""


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
    """`text` as a symbol such as BTC/USD, in capitals. Raises ValueError."""
    symbol = text.strip().upper()
    if not re.fullmatch(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}", symbol):
        raise ValueError(f"{text!r} is not a symbol such as BTC/USD")
    base, quote = (ASSET_ALIASES.get(part, part) for part in symbol.split("/"))
    return f"{base}/{quote}"


def base_of(symbol: str) -> str:
    """The asset of a symbol: BTC for BTC/USD."""
    return symbol.split("/")[0]


def quote_of(symbol: str) -> str:
    """The currency a symbol is counted in: USD for BTC/USD."""
    return symbol.split("/")[1]
