"""Tables and texts in one style everywhere, within 80 columns."""

import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from botctl.domain.text import format_signed, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

UNWRAPPED = ("why", "symbol", "state", "status")
"""Columns whose words one may search for: never broken."""
RIGHT_ALIGNED = frozenset(
    {
        "id",
        "amount",
        "entry",
        "break-even",
        "stop",
        "high",
        "price",
        "exit",
        "P&L",
        "R",
        "filled",
        "fee",
        "value",
        "proceeds",
        "to stop",
        "at Kraken",
        "trades",
        "won",
        "mean P&L",
    }
)
WIDTH = 80

type Drawing = RenderableType
"""What can be printed: plain text, or something of rich."""


class Coloured(NamedTuple):
    """A cell with its colour, as rich names it."""

    text: str
    colour: str


type Cell = str | Coloured


def coloured(value: Decimal | None, currency: str = "") -> Cell:
    """Profit in green, loss in red; zero and what is not known have no colour."""
    text = format_signed(value, currency, named=False)
    return Coloured(text, "green" if value > 0 else "red") if value else text


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Drawing:
    """Rows below the names of their columns. A cell may hold several lines."""
    # Without a terminal there are no colours, so what needs no wrapping is plain text: loading rich takes 75 ms.
    if not sys.stdout.isatty():
        lines = _plain_lines(columns, [[_text(cell) for cell in row] for row in rows])
        if max(map(len, lines)) <= WIDTH:
            return "\n".join(lines)
    return rich_table(columns, rows)


def draw_rows[T](rows: Sequence[T], columns: Mapping[str, Callable[[T], Cell]]) -> Drawing:
    """The same table of results, from the name of each column and how to write its cell."""
    return draw_table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def rich_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Drawing:
    """The same table with colours, its cells wrapped where the terminal is too narrow."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in RIGHT_ALIGNED
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=column in UNWRAPPED)
    for row in rows:  # as Text, which has no markup: brackets in foreign text stay as they are
        table.add_row(*(Text(_text(cell), cell.colour if isinstance(cell, Coloured) else "") for cell in row))
    return table


def _text(cell: Cell) -> str:
    return printable(cell.text if isinstance(cell, Coloured) else cell)


def _plain_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """As rich draws them: the names, a rule, the rows."""
    cells = [[cell.split("\n") for cell in row] for row in (columns, *rows)]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    header, *lines = [
        " ".join(
            f"{text:>{width}}" if name in RIGHT_ALIGNED else f"{text:{width}}"
            for name, text, width in zip(columns, line, widths, strict=True)
        )
        for row in cells
        for line in zip_longest(*row, fillvalue="")
    ]
    return [header, "─" * (sum(widths) + len(widths) - 1), *lines]


def pairs(rows: Sequence[tuple[str, str]], width: int = WIDTH) -> str:
    """Names and values in two columns, as plain text."""
    left = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *rest = textwrap.wrap(value, width - left, break_on_hyphens=False) or [""]
        lines += [f"{name:{left}}{first}".rstrip(), *(" " * left + line for line in rest)]
    return "\n".join(lines)


def group(*parts: Drawing) -> Drawing:
    """Parts below each other; plain text as long as all of them are."""
    lines = [part for part in parts if isinstance(part, str)]
    if len(lines) == len(parts):
        return "\n".join(lines)
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(part) if isinstance(part, str) else part for part in parts))
