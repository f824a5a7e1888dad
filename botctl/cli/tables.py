"""Tables and texts in one style everywhere, as wide as there is room: no figure in them is ever broken in two.

A table that is too wide leaves out columns, the least important first, and says which; then it breaks the lines of its
texts; and where even that is not enough, it writes each row as a list.
"""

import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, TextIO

from botctl.domain.text import format_signed, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

UNWRAPPED = frozenset({"why", "symbol", "state", "status", "closed", "opened", "entered", "held"})
"""Columns whose words one may search for, and times: never broken."""
RIGHT_ALIGNED = frozenset(
    {
        *("id", "amount", "entry", "break-even", "stop", "first stop", "high", "price", "exit", "P&L", "R", "filled"),
        *("fee", "fees", "value", "proceeds", "to stop", "free", "trigger", "held", "at Kraken"),
        *("trades", "won", "mean P&L", "return %", "drawdown %", "Sharpe", "test", "max drawdown %"),
    }
)
LEFT_OUT_FIRST = (
    *("fees", "held", "first stop", "opened", "high", "fee", "free", "order id", "amount", "R", "break-even"),
    *("max drawdown %", "trades", "neighbours", "entered", "entry", "closed", "exit", "status", "trigger"),
)
"""The columns that a table can do without, the least important first. All others are always there."""
WIDTH = 80
"""Where there is no terminal."""
MOST_FOR_TEXT = 100
"""Longer lines of text are hard to read."""
BEFORE_UNIT = re.compile(r"(?<=[0-9]) (?=%|[A-Z]{3,5}\b|(?:s|min|h|d)\b|[0-9]{2}:[0-9]{2})")
"""The space between a figure and its unit, at which no line ends."""
UNBROKEN = 24
"""Words up to this length are never broken, and no figure is longer."""

type Drawing = RenderableType
"""What can be printed: plain text, or something of rich."""


class Coloured(NamedTuple):
    """A cell with its colour, as rich names it."""

    text: str
    colour: str


type Cell = str | Coloured
type Lines = list[list[Coloured]]
"""Each line as its pieces."""


def width() -> int:
    """The columns there are: those of the terminal or of COLUMNS, else 80."""
    return _known_width() or WIDTH


def _known_width(stream: TextIO | None = None) -> int | None:
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or None
    except (OSError, ValueError):  # no terminal, or none that knows its size
        return None


def open_console(*, err: bool = False) -> "Console":
    """rich's console on stdout or stderr. It would take COLUMNS=0 at its word, and print nothing."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    return Console(highlight=False, stderr=err, width=WIDTH if columns.isdecimal() and not int(columns) else None)


def coloured(value: Decimal | None, currency: str = "") -> Cell:
    """Profit in green, loss in red; zero and what is not known have no colour."""
    text = format_signed(value, currency, named=False)
    return Coloured(text, "green" if value > 0 else "red") if value else text


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, full: bool | None = None) -> Drawing:
    """Rows below the names of their columns. A cell may hold several lines.

    With `full` all columns are there, however wide they are; None for a command without such an option.
    """
    cells = [[Coloured(printable(_text(cell)), _colour(cell)) for cell in row] for row in rows]
    room = None if full else width()
    shown = list(range(len(columns))) if room is None else _columns_that_fit(columns, cells, room)
    names = [columns[number] for number in shown]
    kept = [[row[number] for number in shown] for row in cells]
    widths = _widths(names, kept, room)
    if widths is None:
        return _as_lists(columns, cells)
    table = _draw([_line(names, widths, row) for row in _table_rows(names, kept, widths)], widths)
    left_out = [name for number, name in enumerate(columns) if number not in shown]
    return group(table, _note(left_out, full)) if left_out else table


def draw_rows[T](rows: Sequence[T], columns: Mapping[str, Callable[[T], Cell]], *, full: bool | None = None) -> Drawing:
    """The same table of results, from the name of each column and how to write its cell."""
    return draw_table(list(columns), [[cell(row) for cell in columns.values()] for row in rows], full=full)


def _columns_that_fit(columns: Sequence[str], cells: Sequence[Sequence[Coloured]], room: int) -> list[int]:
    """The numbers of the columns to show; the least important ones are left out while the lines are too long."""
    shown = list(range(len(columns)))
    for name in LEFT_OUT_FIRST:
        natural = _natural_widths([columns[n] for n in shown], [[row[n] for n in shown] for row in cells])
        if _total(natural) <= room:
            break
        shown = [number for number in shown if columns[number] != name]
    return shown


def _widths(names: Sequence[str], cells: Sequence[Sequence[Coloured]], room: int | None) -> list[int] | None:
    """The width of each column, where the texts of some are broken into lines; None when that is not enough."""
    widths = _natural_widths(names, cells)
    for number in sorted(range(len(names)), key=lambda number: -widths[number]):
        over = 0 if room is None else _total(widths) - room
        if over <= 0:
            return widths
        if names[number] not in UNWRAPPED | RIGHT_ALIGNED:
            words = [word for row in cells for word in row[number].text.split()]
            least = max(len(names[number]), min(UNBROKEN, max(map(len, words), default=0)))
            widths[number] = max(least, widths[number] - over)
    return widths if room is None or _total(widths) <= room else None


def _natural_widths(names: Sequence[str], cells: Sequence[Sequence[Coloured]]) -> list[int]:
    columns = zip(names, *[[cell.text for cell in row] for row in cells], strict=True)
    return [max(len(line) for text in column for line in text.split("\n")) for column in columns]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(widths) - 1


def _table_rows(names: Sequence[str], cells: Sequence[Sequence[Coloured]], widths: Sequence[int]) -> Lines:
    """The lines of all rows, the names first."""
    head = [Coloured(name, "bold") for name in names]
    lines: Lines = []
    for row in (head, *cells):
        parts = [_broken(cell.text, size) for cell, size in zip(row, widths, strict=True)]
        for texts in zip_longest(*parts, fillvalue=""):
            lines.append([Coloured(text, cell.colour) for text, cell in zip(texts, row, strict=True)])
    return lines


def _broken(text: str, size: int) -> list[str]:
    """The lines of a cell."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines += [line] if len(line) <= size else textwrap.wrap(line, size, break_on_hyphens=False)
    return lines


def _line(names: Sequence[str], widths: Sequence[int], row: Sequence[Coloured]) -> list[Coloured]:
    pieces = []
    for name, size, cell in zip(names, widths, row, strict=True):
        padded = f"{cell.text:>{size}}" if name in RIGHT_ALIGNED else f"{cell.text:{size}}"
        pieces.append(Coloured(padded, cell.colour))
    return pieces


def _draw(lines: Lines, widths: Sequence[int]) -> Drawing:
    """The names, a rule, the rows; in colour on a terminal."""
    lines.insert(1, [Coloured("─" * _total(widths), "")])
    if not sys.stdout.isatty():  # loading rich takes 75 ms
        return "\n".join(" ".join(piece.text for piece in line).rstrip() for line in lines)
    from rich.text import Text

    table = Text(no_wrap=True, overflow="ignore")
    for number, line in enumerate(lines):
        table.append("\n" if number else "")
        for position, piece in enumerate(line):
            table.append(" " if position else "")
            table.append(piece.text, piece.colour or None)
    return table


def _as_lists(columns: Sequence[str], cells: Sequence[Sequence[Coloured]]) -> str:
    """Each row as names and values, where a table has no room."""
    blocks = [pairs([(name, cell.text) for name, cell in zip(columns, row, strict=True)]) for row in cells]
    return "\n\n".join(blocks)


def _note(left_out: Sequence[str], full: bool | None) -> str:
    them = "it" if len(left_out) == 1 else "them"
    where = (
        f"a wider terminal or --json shows {them}"
        if full is None
        else f"--full, a wider terminal or --json shows {them}"
    )
    return "\n".join(textwrap.wrap(f"left out: {', '.join(left_out)} ({where})", width()))


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Coloured) else cell


def _colour(cell: Cell) -> str:
    return cell.colour if isinstance(cell, Coloured) else ""


def pairs(rows: Sequence[tuple[str, str]], columns: int | None = None) -> str:
    """Names and values in two columns, as plain text; by default as wide as text is easily read."""
    columns = min(width(), MOST_FOR_TEXT) if columns is None else columns
    left = max((len(name) for name, _ in rows), default=0) + 2
    lines = []
    for name, value in rows:
        first, *rest = _wrapped(value, max(UNBROKEN, columns - left)) or [""]
        lines += [f"{name:{left}}{first}".rstrip(), *(" " * left + line for line in rest)]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """A line of text, broken where the terminal is too narrow. A log or a pipe has no width, and gets whole lines."""
    return fit(text, sys.stdout)


def fit(text: str, stream: TextIO) -> str:
    """A line of text for this stream, broken between words where its terminal is too narrow."""
    columns = _known_width(stream)
    if columns is None or len(text) <= columns:
        return text
    indent = " " * (len(text) - len(text.lstrip()))
    return "\n".join(_wrapped(text.strip(), columns, indent, f"{indent}  "))


def _wrapped(text: str, columns: int, first: str = "", more: str = "") -> list[str]:
    kept = BEFORE_UNIT.sub("\u00a0", text)
    lines = textwrap.wrap(kept, columns, initial_indent=first, subsequent_indent=more, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def group(*parts: Drawing) -> Drawing:
    """Parts below each other; plain text as long as all of them are. A part of one line is a `sentence`."""
    parts = tuple(sentence(part) if isinstance(part, str) and "\n" not in part else part for part in parts)
    lines = [part for part in parts if isinstance(part, str)]
    if len(lines) == len(parts):
        return "\n".join(lines)
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(part) if isinstance(part, str) else part for part in parts))
