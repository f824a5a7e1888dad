"""Reads the symbol and the length of a candle from the name of a history's file, where it leaves no doubt."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from botctl.domain.symbols import Timeframe, parse_symbol

QUOTES = (
    "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "PYUSD", "USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF", "DAI", "TRY",
    "BRL", "XBT", "BTC", "ETH", "BNB",
)  # fmt: skip
"""Currencies that may end a symbol written as one word, such as XBTUSD."""
WELL_KNOWN = """
    1INCH AAVE ACT ADA AKT ALGO ALT ANKR ANT APE APT AR ARB ASTR ATOM AVAX AXS BAL BAND BAT BCH BNB BNT BONK BTC BTT
    CAKE CAT CBETH CELO CHZ COMP CRO CRV CVX DAI DASH DENT DOGE DOT DYDX EGLD ENA ENJ ENS EOS ETC ETH ETHFI EUR FET
    FIL FLOW FLR FTM FXS GALA GBP GHST GMT GMX GNO GOAT GRT HBAR HNT HYPE ICP ICX IMX INJ JASMY JST JUP KAS KAVA
    KILT KNC KSM LDO LINK LIT LPT LRC LTC LUNA MANA MATIC MEME MINA MKR MNT NEAR NEO NOT OCEAN OM ONDO OP OSMO PAXG
    PENDLE PEPE PNUT POL POPCAT PYTH PYUSD QNT QTUM REN RENDER RETH RNDR ROSE RPL RUNE S SAND SC SEI SHIB SKL SNX
    SOL STETH STORJ STRK STX SUI SUSHI SWEAT TAO TIA TON TRUMP TRX UMA UNI USDC USDT VET WBTC WIF WLD WOO XBT XDG
    XLM XMR XRP XTZ YFI ZEC ZIL ZK ZRO ZRX
"""
COINS = frozenset(WELL_KNOWN.split())
"""Well-known ones: DOTUSD is DOT/USD and not DO/TUSD."""
NO_BASES = """
    BINANCE BITFINEX BITSTAMP BYBIT CANDLE CANDLES CHART COINBASE CRYPTO DAILY DATA EXPORT GEMINI HISTORICAL HISTORY
    HOURLY KLINE KLINES KRAKEN KUCOIN MARKET MY NEW OHLC OHLCV OKX OLD PRICE PRICES SPOT TEST
"""
NO_COINS = frozenset(NO_BASES.split())
"""Words that stand before a symbol."""
KRAKEN_ID = re.compile(r"X([A-Z]{3})[XZ]([A-Z]{3})")
"""Kraken's own name of an old market, such as XXBTZUSD."""
SECONDS = {word: each.seconds for each in Timeframe for word in (str(each), str(each.seconds // 60))}
"""The length of a candle by its notation in a name: 15m, or 15 for the minutes."""
ENDINGS = (".gz", ".csv", ".txt", ".parquet")


class _Reading(NamedTuple):
    """A symbol in a name, and the part after it."""

    symbol: str
    following: str | None


def symbol_in(path: Path) -> str | None:
    """BTC/USD for XBTUSD_15.csv, BTC-USD_15m.csv or kraken_BTC_USD_1h.csv.gz; None without a symbol, or if in doubt."""
    found = _read(_parts(path))
    return found.symbol if found else None


def seconds_in(path: Path) -> int | None:
    """The length of a candle, from the part after the symbol: 15 (minutes), 15m or 1h; None without one."""
    parts = _parts(path)
    if found := _read(parts):
        return SECONDS.get((found.following or "").lower())
    return next((SECONDS[part.lower()] for part in parts if part.lower() in SECONDS and not part.isdigit()), None)


def _parts(path: Path) -> list[str]:
    name = path.name
    while Path(name).suffix.lower() in ENDINGS:
        name = Path(name).stem
    return [part for part in re.split(r"[-_ ]+", name) if part]


def _read(parts: Sequence[str]) -> _Reading | None:
    """The one symbol of a name; two parts such as BTC-USD tell it better than one such as BTCUSD."""
    words = [part.upper() for part in parts]
    for readings in (list(_two_parts(words)), list(_one_part(words))):
        if readings:
            return readings[0] if len({each.symbol for each in readings}) == 1 else None
    return None


def _two_parts(words: Sequence[str]) -> Iterator[_Reading]:
    """The symbols of a base before a quote. In A_BTC_USD the second pair is meant: nothing is quoted twice."""
    starts = [
        index
        for index, quote in enumerate(words[1:])
        if quote in QUOTES and words[index] != quote and _may_be_base(words[index]) and not any(_splits(words[index]))
    ]
    for start in starts:
        if start + 1 not in starts:
            yield _reading(words[start], words[start + 1], words[start + 2 :])


def _one_part(words: Sequence[str]) -> Iterator[_Reading]:
    """The symbols in one word each: the split with a well-known coin, or all of them if none or several have one."""
    for index, word in enumerate(words):
        splits = [] if word in COINS else list(_splits(word))
        known = [each for each in splits if each[0] in COINS]
        for base, quote in known or splits:
            yield _reading(base, quote, words[index + 1 :])


def _splits(word: str) -> Iterator[tuple[str, str]]:
    if (old := KRAKEN_ID.fullmatch(word)) and old[2] in QUOTES:
        yield old[1], old[2]
        return
    for quote in QUOTES:
        base = word.removesuffix(quote)
        if word not in COINS and len(base) < len(word) and len(base) > 1 and _may_be_base(base):
            yield base, quote


def _may_be_base(word: str) -> bool:
    return word not in NO_COINS and re.fullmatch(r"(?=.*[A-Z])[A-Z0-9]{1,12}", word) is not None


def _reading(base: str, quote: str, rest: Sequence[str]) -> _Reading:
    return _Reading(parse_symbol(f"{base}/{quote}"), rest[0] if rest else None)
