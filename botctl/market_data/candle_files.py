"""Files of candles, written whole or not at all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from pathlib import Path

from botctl.domain.candles import Candle
from botctl.domain.money import plain
from botctl.files import process_lock, write_parts

HEADER = "time,open,high,low,close,volume"
WAIT_SECONDS = 30.0
"""How long one fetch waits for another that writes the same file."""


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
    return ",".join([str(candle.time), *(plain(Decimal(repr(figure))) for figure in candle[1:])])
