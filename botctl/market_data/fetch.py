"""Keeps histories: the candles that Kraken still tells are added to those that lie on disk."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from botctl.domain.candles import Candle, from_unix
from botctl.domain.errors import BadValue, UnusableAnswer
from botctl.domain.symbols import Timeframe
from botctl.market_data.candle_files import HEADER, candle_file, file_lock, find_gaps, merge_candles, write_candles
from botctl.market_data.history import load_candles


@dataclass(frozen=True)
class GapView:
    """Absent candles: when the first and the last of them opened, and how many they are."""

    since: datetime
    until: datetime
    candles: int


@dataclass(frozen=True)
class FetchView:
    """What was fetched of one symbol, and what its file has now. Moments are when candles opened."""

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
    """Candles that Kraken now tells otherwise than the file, which keeps its own."""


class CandleSource(Protocol):
    """Who tells closed candles."""

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]: ...


def fetch_history(
    source: CandleSource, symbol: str, timeframe: Timeframe, folder: Path, since: datetime | None = None
) -> FetchView:
    """Ask for the candles of a symbol, those that open from `since` on, and add the new ones to its file.

    The file is read only after the answer came and under its lock, so two at once lose nothing. Raises BotError.
    """
    told = source.fetch_candles(symbol, timeframe)
    seconds = timeframe.seconds
    if any(candle.time % seconds for candle in told):
        raise UnusableAnswer(f"candles of {symbol} were told that don't open on the raster of {timeframe}")
    wanted = [candle for candle in told if since is None or candle.time >= since.timestamp()]
    path = candle_file(folder, symbol, timeframe)
    with file_lock(path):
        merged = merge_candles(_read(path, symbol, seconds), wanted)
        if merged.added:
            write_candles(path, merged.candles)
    gaps = find_gaps([candle.time for candle in merged.candles], seconds)
    return FetchView(
        symbol=symbol,
        timeframe=timeframe,
        file=str(path),
        fetched=len(told),
        added=merged.added,
        candles=len(merged.candles),
        first=from_unix(merged.candles[0].time) if merged.candles else None,
        last=from_unix(merged.candles[-1].time) if merged.candles else None,
        oldest_told=from_unix(told[0].time) if told else None,
        gaps=[GapView(from_unix(first), from_unix(last), (last - first) // seconds + 1) for first, last in gaps],
        changed=[from_unix(time) for time in merged.changed],
    )


def _read(path: Path, symbol: str, seconds: int) -> dict[int, Candle]:
    """The candles kept so far. Raises BadValue for a file that can't be continued without losing something."""
    if not path.exists():
        return {}
    history = load_candles(path, symbol)
    if history.seconds != seconds or not _can_be_continued(path):
        raise BadValue(
            f"{path} has other columns or candles than fetch writes", hint=f"move it away; it must begin with {HEADER}"
        )
    columns = (history.opens, history.highs, history.lows, history.closes, history.volumes)
    rows = zip(history.times, *columns, strict=True)
    return {int(time): Candle(int(time), *map(float, figures)) for time, *figures in rows}


def _can_be_continued(path: Path) -> bool:
    """Our own files, and Kraken's without a header, which lose nothing but their count of trades."""
    with path.open("rb") as file:
        first = file.readline().strip().decode(errors="replace")
    return first == HEADER or first[:1].isdigit()
