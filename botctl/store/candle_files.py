"""Files of candles, written whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path

from botctl.domain.candles import Candle
from botctl.domain.errors import ConfigError
from botctl.domain.money import plain
from botctl.store.lock import process_lock

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
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("w", encoding="ascii", newline="") as file:
            file.write(f"{HEADER}\n")
            file.writelines(f"{row_of(candle)}\n" for candle in candles)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the disk and the folder") from error


def row_of(candle: Candle) -> str:
    """A candle as a line: figures that read back as the very same ones, without exponents."""
    return ",".join([str(candle.time), *(plain(Decimal(repr(figure))) for figure in candle[1:])])


def _sync_folder(folder: Path) -> None:
    """The new name of a file lasts once its folder is on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
