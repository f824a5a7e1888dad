"""Tables and texts of one form everywhere, within 80 columns."""

import re
import sys
import textwrap
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from botctl.domain.figures import UNKNOWN, signed
from botctl.domain.money import plain

KEPT_WHOLE = ("why", "symbol", "state", "status")
"""Columns whose words somebody may look for: never broken."""
RIGHT = frozenset(
    {"id", "amount", "entry", "stop", "high", "price", "exit", "P&L", "filled", "fee", "value", "to stop"}
)
"""Columns of figures."""
MARKUP = re.compile(r"\[/?[a-z]*\]")
"""Colours, as rich has them."""
WIDTH = 80


def amount(value: Decimal | None) -> str:
    return UNKNOWN if value is None else plain(value)


def short(value: Decimal) -> str:
    """An amount to about five digits, for a table that has no room for all of them."""
    return f"{value:.0f}" if value >= 10_000 else plain(Decimal(f"{value:.5g}"))


def coloured(value: Decimal | None) -> str:
    """Profit in green, loss in red, where there are colours."""
    return f"[{'green' if value is None or value >= 0 else 'red'}]{signed(value)}[/]"


def new_table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in RIGHT
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=column in KEPT_WHOLE)
    return table


def figures_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """A table of what needs no wrapping. Off a terminal, where there are no colours, the same lines are plain text that
    need not wait for rich, as long as they fit."""
    if not sys.stdout.isatty():
        lines = _plain_lines(columns, [[MARKUP.sub("", cell) for cell in row] for row in rows])
        if max(map(len, lines)) <= WIDTH:
            return "\n".join(lines)
    table = new_table(*columns)
    for row in rows:
        table.add_row(*row)
    return table


def _plain_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """As rich draws them: the names, a line, the rows."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lined_up = [
        " ".join(
            f"{cell:>{width}}" if name in RIGHT else f"{cell:{width}}"
            for name, cell, width in zip(columns, row, widths, strict=True)
        )
        for row in (columns, *rows)
    ]
    return [lined_up[0], "─" * (sum(widths) + len(widths) - 1), *lined_up[1:]]


def pairs(rows: Sequence[tuple[str, str]], width: int = WIDTH) -> str:
    """Names and values in two columns, plain: what needs no table needn't wait for rich to load."""
    left = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *rest = textwrap.wrap(value, width - left, break_on_hyphens=False) or [""]
        lines += [f"{name:{left}}{first}".rstrip(), *(" " * left + line for line in rest)]
    return "\n".join(lines)


def group(*parts: Any) -> Any:
    """Parts below each other; plain text as long as all of them are."""
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(part) if isinstance(part, str) else part for part in parts))
