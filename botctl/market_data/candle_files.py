"""Files of candles: merged with what was fetched, and written whole or not at all."""

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
"""How long one fetch waits for another that writes the same file."""


@dataclass(frozen=True)
class MergeResult:
    """A history with what it gained."""

    candles: list[Candle]
    added: int
    changed: list[int]
    """When candles opened that are now told differently. The kept ones stay: a history must not change its past."""


def merge_candles(kept: Mapping[int, Candle], told: Iterable[Candle]) -> MergeResult:
    """`kept`, by when they opened, and those of `told` that are new."""
    told = list(told)
    new = {candle.time: candle for candle in told if candle.time not in kept}
    changed = [candle.time for candle in told if candle.time in kept and kept[candle.time] != candle]
    merged = {**kept, **new}
    return MergeResult([merged[time] for time in sorted(merged)], len(new), changed)


def find_gaps(times: Sequence[int], seconds: int) -> list[tuple[int, int]]:
    """Where candles of this length are absent: when the first and the last absent one of each gap opened."""
    return [(earlier + seconds, later - seconds) for earlier, later in pairwise(times) if later - earlier > seconds]


def candle_file(folder: Path, symbol: str, timeframe: str) -> Path:
    """Where the candles of a symbol lie; the name tells what they are."""
    return folder / f"{symbol.replace('/', '-')}_{timeframe}.csv"


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Read and write `path` alone: a lock file beside it keeps a second fetch waiting. Raises Busy."""
    with process_lock(path.with_name(f".{path.name}.lock"), WAIT_SECONDS):
        yield


def write_candles(path: Path, candles: Iterable[Candle]) -> None:
    """Replace `path` by these candles: it is the old file or the new one at any moment, also after a power cut.

    Call it under the file's lock. Raises ConfigError.
    """
    lines = (f"{row_of(candle)}\n".encode("ascii") for candle in candles)
    write_parts(path, chain((f"{HEADER}\n".encode("ascii"),), lines), mode=0o644)


def row_of(candle: Candle) -> str:
    """A candle as a line: figures that read back as the very same ones, without exponents."""
    return ",".join([str(candle.time), *(format_decimal(Decimal(repr(figure))) for figure in candle[1:])])
