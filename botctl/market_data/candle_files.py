"""CSV files of candles: merged with fetched candles and replaced atomically."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path

from botctl.domain.candles import Candle
from botctl.domain.money import format_decimal
from botctl.files import process_lock, write_parts

HEADER = "time,open,high,low,close,volume"
WAIT_SECONDS = 30.0
"""How long a fetch waits for another one that writes the same file."""


@dataclass(frozen=True)
class MergeResult:
    candles: list[Candle]
    added: int
    changed: list[int]
    """Times of candles that were fetched with other values. The stored ones stay: the past must not change."""


def merge_candles(stored: Mapping[int, Candle], fetched: Iterable[Candle]) -> MergeResult:
    """The `stored` candles, by the time they opened, and the new ones among `fetched`."""
    new: dict[int, Candle] = {}
    changed: list[int] = []
    for candle in fetched:
        if candle.time not in stored:
            new[candle.time] = candle
        elif stored[candle.time] != candle:
            changed.append(candle.time)
    merged = {**stored, **new}
    return MergeResult([merged[time] for time in sorted(merged)], len(new), changed)


def find_gaps(times: Sequence[int], seconds: int) -> list[tuple[int, int]]:
    """For each gap, when its first and its last absent candle of this length opened."""
    return [(earlier + seconds, later - seconds) for earlier, later in pairwise(times) if later - earlier > seconds]


def candle_file(folder: Path, symbol: str, timeframe: str) -> Path:
    return folder / f"{symbol.replace('/', '-')}_{timeframe}.csv"


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, so that only one fetch at a time reads and writes it. Raises Busy."""
    with process_lock(path.with_name(f".{path.name}.lock"), WAIT_SECONDS):
        yield


def write_candles(path: Path, candles: Iterable[Candle]) -> None:
    """Replace `path` atomically by these candles. Call it under the file's lock. Raises ConfigError."""
    lines = (f"{format_row(candle)}\n".encode("ascii") for candle in candles)
    write_parts(path, chain((f"{HEADER}\n".encode("ascii"),), lines), mode=0o644)


def format_row(candle: Candle) -> str:
    """A candle as a CSV row, with numbers that read back exactly and have no exponents."""
    return ",".join([str(candle.time), *(format_decimal(Decimal(repr(number))) for number in candle[1:])])
