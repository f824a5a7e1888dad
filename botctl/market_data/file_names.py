"""Reads the symbol and the length of a candle from the name of a history's file."""

import re
from pathlib import Path

from botctl.domain.symbols import Timeframe, parse_symbol

QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF", "XBT", "BTC", "ETH")
"""Currencies that end a symbol written as one word, such as XBTUSD; of two that fit the longer one comes first."""
SECONDS = {word: each.seconds for each in Timeframe for word in (str(each), str(each.seconds // 60))}
"""The length of a candle by its notation in a name: 15m, or 15 for the minutes."""
ENDINGS = (".gz", ".csv", ".txt", ".parquet")


def symbol_in(path: Path) -> str | None:
    """BTC/USD for XBTUSD_15.csv, BTC-USD_15m.csv, BTC_USD-1h.csv.gz or kraken_BTCUSD_1h.csv; None without a symbol."""
    return _parse(path)[0]


def seconds_in(path: Path) -> int | None:
    """The length of a candle, from the part after the symbol: 15 (minutes), 15m or 1h; None without one."""
    return _parse(path)[1]


def _parse(path: Path) -> tuple[str | None, int | None]:
    name = path.name
    while Path(name).suffix.lower() in ENDINGS:
        name = Path(name).stem
    parts = re.split(r"[-_ ]", name)
    for index, part in enumerate(parts):
        following = parts[index + 1 : index + 2]
        if following and following[0].upper() in QUOTES and re.fullmatch(r"[A-Za-z0-9]{2,12}", part):
            return parse_symbol(f"{part}/{following[0]}"), _seconds(parts[index + 2 : index + 3])
        for quote in QUOTES:
            if re.fullmatch(rf"[A-Z0-9]{{2,12}}{quote}", part.upper()):
                return parse_symbol(f"{part.upper().removesuffix(quote)}/{quote}"), _seconds(following)
    return None, next(filter(None, (_seconds([part]) for part in parts if not part.isdigit())), None)


def _seconds(parts: list[str]) -> int | None:
    return SECONDS.get(parts[0].lower()) if parts else None
