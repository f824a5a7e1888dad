"""Fetches candles from Kraken and adds them to the files on disk."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from botctl.domain.candles import Candle, from_unix
from botctl.domain.errors import BadValue, UnusableAnswer
from botctl.domain.symbols import Timeframe
from botctl.market_data.candle_files import HEADER, candle_file, file_lock, find_gaps, merge_candles, write_candles
from botctl.market_data.history import load_candles
from botctl.ports import MarketData


@dataclass(frozen=True)
class GapView:
    """Absent candles: when the first and the last of them opened, and how many there are."""

    since: datetime
    until: datetime
    candles: int


@dataclass(frozen=True)
class FetchView:
    """What was fetched of one symbol, and what its file contains now. Times are when candles opened."""

    symbol: str
    timeframe: str
    file: str
    fetched: int
    added: int
    candles: int
    first: datetime | None
    last: datetime | None
    oldest_told: datetime | None
    gaps: list[GapView]
    changed: list[datetime]
    """Candles that Kraken returned with other values than the file, which keeps its own."""


def fetch_history(
    source: MarketData, symbol: str, timeframe: Timeframe, folder: Path, since: datetime | None = None
) -> FetchView:
    """Fetch the candles of a symbol that open from `since` on, and add the new ones to its file. Raises BotError.

    The file is read after the fetch and under its lock, so that two fetches at once lose nothing.
    """
    fetched = source.fetch_candles(symbol, timeframe)
    seconds = timeframe.seconds
    if any(candle.time % seconds for candle in fetched):
        raise UnusableAnswer(f"candles of {symbol} don't open at multiples of {timeframe}")
    wanted = [candle for candle in fetched if since is None or candle.time >= since.timestamp()]
    path = candle_file(folder, symbol, timeframe)
    with file_lock(path):
        merged = merge_candles(_load_stored(path, symbol, seconds), wanted)
        if merged.added:
            write_candles(path, merged.candles)
    gaps = find_gaps([candle.time for candle in merged.candles], seconds)
    return FetchView(
        symbol=symbol,
        timeframe=timeframe,
        file=str(path),
        fetched=len(fetched),
        added=merged.added,
        candles=len(merged.candles),
        first=from_unix(merged.candles[0].time) if merged.candles else None,
        last=from_unix(merged.candles[-1].time) if merged.candles else None,
        oldest_told=from_unix(fetched[0].time) if fetched else None,
        gaps=[GapView(from_unix(first), from_unix(last), (last - first) // seconds + 1) for first, last in gaps],
        changed=[from_unix(time) for time in merged.changed],
    )


def _load_stored(path: Path, symbol: str, seconds: int) -> dict[int, Candle]:
    """The candles in the file by time. Raises BadValue if adding to it would lose something."""
    if not path.exists():
        return {}
    history = load_candles(path, symbol)
    if history.seconds != seconds or not _can_be_continued(path):
        raise BadValue(
            f"{path} has other columns or candles than fetch writes", hint=f"move it away; it must begin with {HEADER}"
        )
    rows = zip(history.times, *history.values, strict=True)
    return {int(time): Candle(int(time), *map(float, values)) for time, *values in rows}


def _can_be_continued(path: Path) -> bool:
    """Whether it is our own file, or Kraken's without a header, which loses only its count of trades."""
    with path.open("rb") as file:
        first = file.readline().strip().decode(errors="replace")
    return first == HEADER or first[:1].isdigit()
