"""What the name of a history's file tells: its symbol and the length of its candles."""

import re
from pathlib import Path

from botctl.domain.symbols import Timeframe, parse_symbol

QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF", "XBT", "BTC", "ETH")
"""Currencies that end a symbol written in one word, as in XBTUSD; of two that fit the longer one first."""
SECONDS = {word: each.seconds for each in Timeframe for word in (str(each), str(each.seconds // 60))}
"""Of a candle, by what a name may call it: 15m, or 15 for the minutes."""
ENDINGS = (".gz", ".csv", ".txt", ".parquet")


def symbol_in(path: Path) -> str | None:
    """BTC/USD for XBTUSD_15.csv, BTC-USD_15m.csv, BTC_USD-1h.csv.gz or kraken_BTCUSD_1h.csv; None if it tells none."""
    return _read(path)[0]


def seconds_in(path: Path) -> int | None:
    """The length of a candle, from what stands behind the symbol: 15 (minutes), 15m or 1h; None if nothing does."""
    return _read(path)[1]


def _read(path: Path) -> tuple[str | None, int | None]:
    name = path.name
    while Path(name).suffix.lower() in ENDINGS:
        name = Path(name).stem
    words = re.split(r"[-_ ]", name)
    for place, word in enumerate(words):
        following = words[place + 1 : place + 2]
        if following and following[0].upper() in QUOTES and re.fullmatch(r"[A-Za-z0-9]{2,12}", word):
            return parse_symbol(f"{word}/{following[0]}"), _seconds(words[place + 2 : place + 3])
        for quote in QUOTES:
            if re.fullmatch(rf"[A-Z0-9]{{2,12}}{quote}", word.upper()):
                return parse_symbol(f"{word.upper().removesuffix(quote)}/{quote}"), _seconds(following)
    return None, next(filter(None, (_seconds([word]) for word in words if not word.isdigit())), None)


def _seconds(words: list[str]) -> int | None:
    return next((SECONDS.get(word.lower()) for word in words), None)
