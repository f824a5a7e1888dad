"""Names of markets and timeframes."""

import re

TIMEFRAMES = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}
"""The timeframes that botctl trades on, in seconds."""
OLD_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's own names for two assets. One asset must have one name, or it could be bought twice."""


def parse_symbol(text: str) -> str:
    """`text` as a symbol such as BTC/USD, in capitals. Raises ValueError when it has another form."""
    symbol = text.strip().upper()
    if not re.fullmatch(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}", symbol):
        raise ValueError(f"{text!r} is not a symbol such as BTC/USD")
    base, quote = (OLD_NAMES.get(part, part) for part in symbol.split("/"))
    return f"{base}/{quote}"


def base_of(symbol: str) -> str:
    """The asset of a symbol: BTC for BTC/USD."""
    return symbol.split("/")[0]


def quote_of(symbol: str) -> str:
    """The currency a symbol is counted in: USD for BTC/USD."""
    return symbol.split("/")[1]
