"""Columns of numbers out of a text file: read at once while it is sound, else line by line to name what is not."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from botctl.domain.candles import to_unix
from botctl.domain.errors import BadValue

if TYPE_CHECKING:
    import numpy as np

BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
UNITS = ((1e14, 1_000_000), (1e11, 1_000))
"""A time stamp from so large on counts so many parts of a second; in seconds 1e11 would be the year 5138."""
LATEST = 1e17
"""No time stamp reaches this, in whatever unit."""
TIME_NAMES = ("time", "timestamp", "timestamp_ms", "unix", "open_time", "date", "datetime")
"""How the column of times may be called, the best one first where there are several."""

Names = Mapping[str, Sequence[str]]
"""Wanted columns, each with the names it may have in a header."""


@dataclass(frozen=True)
class CsvTable:
    """A text file that looks like a table, before its cells are believed."""

    path: Path
    lines: list[str]
    """Without line ends, from the first row on."""
    skipped: int
    """Lines before the first row: comments and the header."""
    width: int
    """How many cells each row must have."""
    places: list[int]
    """Where the wanted columns stand, the time first."""
    iso: bool
    """Whether the times are ISO 8601 instead of numbers."""
    commas: int
    """In all rows together; counted in one go, which costs less than counting row by row."""

    def complain(self, row: int, what: str, fix: str = "mend or remove the line") -> NoReturn:
        raise BadValue(f"{self.path} line {self.skipped + row + 1}: {what}", hint=fix)


def read_bytes(path: Path) -> bytes:
    """What a file holds, unpacked if it is gzipped. Raises BadValue."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadValue(f"there is no file {path}", hint="check its name") from None
    except OSError as error:
        raise BadValue(f"{path} can't be read: {error.strerror}", hint="it must be a file you may read") from error
    if raw.startswith(GZIP):
        import gzip
        import zlib

        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise BadValue(f"{path} can't be unpacked: {error}", hint="it is damaged: get it anew") from error
    if not raw.strip():
        raise BadValue(f"{path} is empty", hint="get it anew")
    return raw


def open_table(path: Path, wanted: Names, positions: Mapping[int, Sequence[str]]) -> CsvTable:
    """Find the header of a CSV, and in it the wanted columns, the first of which is the time.

    `positions` names the columns of files without a header by how many there are. Raises BadValue.
    """
    raw = read_bytes(path).removeprefix(BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadValue(f"{path} is no text file", hint="give a CSV file (UTF-8), plain or gzipped")
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    skipped = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if skipped == len(lines):
        raise BadValue(f"{path} has nothing but comments", hint="get it anew")
    cells = split(lines[skipped])
    if is_number(cells[0]):
        columns = positions.get(len(cells))
        if columns is None:
            counts = " or ".join(map(str, positions)) or "named"
            raise BadValue(
                f"{path} line {skipped + 1}: {len(cells)} columns without a header; known are {counts}",
                hint=f"add a header that names {', '.join(wanted)}",
            )
    else:
        columns, skipped = [cell.lower() for cell in cells], skipped + 1
    places = [_find(path, skipped, columns, name, names) for name, names in wanted.items()]
    if skipped == len(lines):
        raise BadValue(f"{path} has a header and no row below it", hint="get it anew")
    first = split(lines[skipped])
    iso = len(first) > places[0] and not is_number(first[places[0]])
    commas = text.count(",") - sum(line.count(",") for line in lines[:skipped])
    return CsvTable(path, lines[skipped:], skipped, len(cells), places, iso, commas)


def _find(path: Path, line: int, columns: Sequence[str], name: str, names: Sequence[str]) -> int:
    for one in names:
        if one in columns:
            return columns.index(one)
    shown = ", ".join(columns)
    raise BadValue(
        f"{path} line {line}: no column {name} in {shown:.60}", hint=f"name one of them {' or '.join(names)}"
    )


def split(line: str) -> list[str]:
    """The cells of one line; quotes are only looked for where there are some."""
    if '"' not in line:
        return [cell.strip() for cell in line.split(",")]
    return [cell.strip() for cell in next(csv.reader([line]))]


def is_number(text: str) -> bool:
    """Whether `text` is a plain number; nan and inf are none, nor are 1_000 and digits of other scripts."""
    try:
        return math.isfinite(float(text)) and text.isascii() and "_" not in text
    except ValueError:
        return False


def read_fast(table: CsvTable) -> "list[np.ndarray[Any, Any]] | None":
    """The wanted columns, times in unix seconds; None when numpy stumbles over anything at all."""
    import numpy as np

    if table.commas != len(table.lines) * (table.width - 1):
        return None
    kinds = [("0", "U40" if table.iso else "f8")] + [(str(place), "f8") for place in range(1, len(table.places))]
    try:
        rows = np.loadtxt(
            table.lines, delimiter=",", comments=None, usecols=table.places, dtype=kinds, quotechar='"', ndmin=1
        )
        times = np.array([parse_iso(text) for text in rows["0"].tolist()]) if table.iso else _whole(rows["0"])
    except ValueError:
        return None
    columns = [times, *(np.ascontiguousarray(rows[name]) for name, _ in kinds[1:])]
    return columns if len(times) == len(table.lines) and all(map(_finite, columns)) else None


def _finite(column: "np.ndarray[Any, Any]") -> bool:
    import numpy as np

    return bool(np.isfinite(column).all())


def _whole(stamps: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Time stamps as whole unix seconds. Raises ValueError where they are none."""
    import numpy as np

    unit = unit_of(float(stamps[0]))
    times = stamps // unit
    if not ((stamps >= 0) & (stamps < LATEST)).all() or not (times * unit == stamps).all():
        raise ValueError("no whole seconds")
    return times.astype(np.int64)


def unit_of(stamp: float) -> int:
    """How many parts of a second a time stamp counts."""
    return next((unit for least, unit in UNITS if stamp >= least), 1)


def read_slowly(table: CsvTable, check_row: Callable[[list[float]], str]) -> "list[np.ndarray[Any, Any]]":
    """The wanted columns as `read_fast` has them. Raises BadValue with the line of the first bad row.

    `check_row` is given the figures of a row and says what is wrong with them.
    """
    import numpy as np

    rows, unit = [], 0
    for number, line in enumerate(table.lines):
        cells = split(line)
        if len(cells) != table.width:
            table.complain(number, f"{len(cells)} columns instead of {table.width}")
        stamp, *figures = (cells[place] for place in table.places)
        for cell in figures:
            if not is_number(cell):
                table.complain(number, f"{cell[:40]!r} is no number")
        try:
            time, unit = _read_time(stamp, unit, table.iso)
        except (ValueError, OverflowError):
            form = "ISO 8601" if table.iso else "unix seconds or milliseconds"
            table.complain(number, f"{stamp[:40]!r} is no time in {form}")
        row = [float(cell) for cell in figures]
        if wrong := check_row(row):
            table.complain(number, wrong)
        rows.append((time, *row))
    times, *columns = zip(*rows, strict=True)
    return [np.array(times, dtype=np.int64), *(np.array(column, dtype=float) for column in columns)]


def _read_time(text: str, unit: int, iso: bool) -> tuple[int, int]:
    """A time in whole unix seconds, and the unit of its column."""
    if iso:
        return parse_iso(text), 0
    if not is_number(text):
        raise ValueError(text)
    stamp = float(text)
    unit = unit or unit_of(stamp)
    if not 0 <= stamp < LATEST or stamp % unit:
        raise ValueError(text)
    return int(stamp) // unit, unit


def parse_iso(text: str) -> int:
    """ISO 8601 as whole unix seconds; UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    if moment.microsecond:
        raise ValueError(text)
    return to_unix(moment.replace(tzinfo=moment.tzinfo or UTC))
