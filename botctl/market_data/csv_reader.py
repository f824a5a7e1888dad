"""Reads columns of numbers from a text file: with numpy while it is valid, else line by line to name the bad one."""

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
"""From this size on a time stamp counts this many parts of a second; in seconds 1e11 would be the year 5138."""
UNIT_NAMES = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds"}
ONE_UNIT = "write all times in one unit"
MAX_STAMP = 1e17
TIME_NAMES = ("time", "timestamp", "timestamp_ms", "unix", "open_time", "date", "datetime")
"""Possible names of the time column; the first one found is used."""

Names = Mapping[str, Sequence[str]]
"""Wanted columns, each with its possible names in a header."""


@dataclass(frozen=True)
class CsvTable:
    """A text file that looks like a table. Its cells are not checked yet."""

    path: Path
    lines: list[str]
    """The rows, without line ends."""
    skipped: int
    """The number of lines before the first row: comments and the header."""
    width: int
    """Cells per row."""
    columns: list[int]
    """The indexes of the wanted columns, the time first."""
    iso: bool
    """Whether the times are ISO 8601 instead of numbers."""
    commas: int
    """In all rows together: faster to count than per row."""

    def fail(self, row: int, problem: str, hint: str = "fix or remove the line") -> NoReturn:
        raise BadValue(f"{self.path} line {self.skipped + row + 1}: {problem}", hint=hint)


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if it is gzipped. Raises BadValue."""
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
            raise BadValue(f"{path} can't be unpacked: {error}", hint="it is damaged: download it again") from error
    if not raw.strip():
        raise BadValue(f"{path} is empty", hint="download it again")
    return raw


def open_table(path: Path, wanted: Names, headerless: Mapping[int, Sequence[str]]) -> CsvTable:
    """Find the header of a CSV and its wanted columns, the first of which is the time. Raises BadValue.

    `headerless` names the columns of files without a header, by their number.
    """
    text = _read_text(path)
    lines = text.rstrip().splitlines()
    skipped = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if skipped == len(lines):
        raise BadValue(f"{path} has nothing but comments", hint="download it again")
    cells = split(lines[skipped])
    names: Sequence[str] | None
    if is_number(cells[0]):
        names = headerless.get(len(cells))
        if names is None:
            counts = " or ".join(map(str, headerless)) or "named"
            raise BadValue(
                f"{path} line {skipped + 1}: {len(cells)} columns without a header; known are {counts}",
                hint=f"add a header that names {', '.join(wanted)}",
            )
    else:
        names, skipped = [cell.lower() for cell in cells], skipped + 1
    columns = [_find_column(path, skipped, names, name, aliases) for name, aliases in wanted.items()]
    if skipped == len(lines):
        raise BadValue(f"{path} has a header and no row below it", hint="download it again")
    first = split(lines[skipped])
    iso = len(first) > columns[0] and not is_number(first[columns[0]])
    commas = text.count(",") - sum(line.count(",") for line in lines[:skipped])
    return CsvTable(path, lines[skipped:], skipped, len(cells), columns, iso, commas)


def _read_text(path: Path) -> str:
    try:
        text = read_bytes(path).removeprefix(BOM).decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadValue(f"{path} is not a text file", hint="give a CSV file (UTF-8), plain or gzipped")
    return text


def _find_column(path: Path, line: int, names: Sequence[str], name: str, aliases: Sequence[str]) -> int:
    for alias in aliases:
        if alias in names:
            return names.index(alias)
    raise BadValue(
        f"{path} line {line}: no column {name} in {', '.join(names):.60}",
        hint=f"name one of them {' or '.join(aliases)}",
    )


def split(line: str) -> list[str]:
    cells = next(csv.reader([line])) if '"' in line else line.split(",")
    return [cell.strip() for cell in cells]


def is_number(text: str) -> bool:
    """Whether `text` is a plain number, unlike nan, inf, 1_000 and digits of other scripts."""
    try:
        return math.isfinite(float(text)) and text.isascii() and "_" not in text
    except ValueError:
        return False


def read_fast(table: CsvTable) -> "list[np.ndarray[Any, Any]] | None":
    """The wanted columns, times in unix seconds; None if anything in the table is invalid."""
    import numpy as np

    if table.commas != len(table.lines) * (table.width - 1):
        return None
    kinds = [("0", "U40" if table.iso else "f8")] + [(str(number), "f8") for number in range(1, len(table.columns))]
    try:
        rows = np.loadtxt(
            table.lines, delimiter=",", comments=None, usecols=table.columns, dtype=kinds, quotechar='"', ndmin=1
        )
        times = np.array([parse_iso(text) for text in rows["0"].tolist()]) if table.iso else _to_seconds(rows["0"])
    except ValueError:
        return None
    columns = [times, *(np.ascontiguousarray(rows[name]) for name, _ in kinds[1:])]
    return columns if len(times) == len(table.lines) and all(np.isfinite(each).all() for each in columns) else None


def _to_seconds(stamps: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Time stamps as whole unix seconds. Raises ValueError."""
    import numpy as np

    unit = unit_of(float(stamps[0]))
    times = stamps // unit
    if unit_of(float(stamps.min())) != unit or unit_of(float(stamps.max())) != unit:
        raise ValueError("time stamps whose unit changes")
    if not ((stamps >= 0) & (stamps < MAX_STAMP)).all() or not (times * unit == stamps).all():
        raise ValueError("time stamps that are not whole seconds")
    return times.astype(np.int64)


def unit_of(stamp: float) -> int:
    """How many parts of a second a time stamp counts."""
    return next((unit for minimum, unit in UNITS if stamp >= minimum), 1)


def change_of_unit(stamp: str, unit: int) -> str:
    """What is wrong with a time stamp that counts in another unit than those before it."""
    return f"{stamp[:40]} is a time in {UNIT_NAMES[unit_of(float(stamp))]}, those before it are in {UNIT_NAMES[unit]}"


def read_slowly(table: CsvTable, find_problem: Callable[[list[float]], str | None]) -> "list[np.ndarray[Any, Any]]":
    """The wanted columns as `read_fast` returns them. Raises BadValue with the line of the first bad row.

    `find_problem` gets the values of a row without its time.
    """
    import numpy as np

    rows, unit = [], 0
    for number, line in enumerate(table.lines):
        cells = split(line)
        if len(cells) != table.width:
            table.fail(number, f"{len(cells)} columns instead of {table.width}")
        stamp, *texts = (cells[column] for column in table.columns)
        for text in texts:
            if not is_number(text):
                table.fail(number, f"{text[:40]!r} is not a number")
        try:
            time, unit = _parse_time(stamp, unit, table.iso)
        except (ValueError, OverflowError):
            form = "ISO 8601" if table.iso else "unix seconds or milliseconds"
            table.fail(number, f"{stamp[:40]!r} is not a time in {form}")
        if unit and unit_of(float(stamp)) != unit:
            table.fail(number, change_of_unit(stamp, unit), ONE_UNIT)
        values = [float(text) for text in texts]
        if problem := find_problem(values):
            table.fail(number, problem)
        rows.append((time, *values))
    times, *columns = zip(*rows, strict=True)
    return [np.array(times, dtype=np.int64), *(np.array(column, dtype=float) for column in columns)]


def _parse_time(text: str, unit: int, iso: bool) -> tuple[int, int]:
    """A time in whole unix seconds, and the unit of its column. Raises ValueError."""
    if iso:
        return parse_iso(text), 0
    if not is_number(text):
        raise ValueError(text)
    stamp = float(text)
    unit = unit or unit_of(stamp)
    if not 0 <= stamp < MAX_STAMP or (stamp % unit and unit_of(stamp) == unit):
        raise ValueError(text)
    return int(stamp) // unit, unit


def parse_iso(text: str) -> int:
    """ISO 8601 as whole unix seconds; UTC where it has no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    if moment.microsecond:
        raise ValueError(text)
    return to_unix(moment.replace(tzinfo=moment.tzinfo or UTC))
