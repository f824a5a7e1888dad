"""Lines of text with colours, laid out for any width: in colour on a terminal, the same in plain text elsewhere."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from botctl.cli import tables
from botctl.cli.tables import BEFORE_UNIT, Drawing
from botctl.domain.text import printable

GAP = 2
"""Columns between two cells."""


class Span(NamedTuple):
    """Some text in one style, as rich names it. What the style says is in the text as well."""

    text: str
    style: str = ""


type Line = Sequence[Span]


def width_of(line: Line) -> int:
    return sum(len(span.text) for span in line)


def plain(lines: Sequence[Line]) -> str:
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


def draw_lines(lines: Sequence[Line], *, coloured: bool, room: int | None = None) -> Drawing:
    """Plain text, or with colours (rich is loaded only for these) and folded to `room` columns, else the terminal's."""
    if not coloured:
        return plain(lines)
    from rich.text import Text

    text, columns = Text(), room or tables.width()
    for number, line in enumerate(each for whole in lines for each in folded(whole, columns)):
        text.append("\n" if number else "")
        for span in line:
            text.append(printable(span.text), span.style)
    return text


def folded(line: Line, width: int) -> list[Line]:
    """A line over as many as it takes, broken between words; those below the first are indented a little more."""
    text = "".join(span.text for span in line)
    if len(text) <= width:
        return [line]
    indent = " " * (len(text) - len(text.lstrip()) + GAP)
    kept = BEFORE_UNIT.sub("\u00a0", text.rstrip())
    pieces = textwrap.wrap(kept, max(width, 3 * GAP + len(indent)), subsequent_indent=indent, break_on_hyphens=False)
    styles = [span.style for span in line for _ in span.text]
    lines: list[Line] = []
    start = 0
    for number, piece in enumerate(pieces):
        words = piece[len(indent) :] if number else piece
        start = kept.index(words, start)
        gap = [Span(indent)] if number else []
        lines.append(
            [*gap, *(Span(letter, styles[start + place]) for place, letter in enumerate(words.replace("\u00a0", " ")))]
        )
        start += len(words)
    return lines


def wrapped(text: str, width: int, style: str = "", *, first: str = "", indent: int = 0) -> list[Line]:
    """A sentence in one style over as many lines as it takes; `first` stands before it, the others are indented."""
    room = max(10, width - indent)
    kept = BEFORE_UNIT.sub("\u00a0", printable(text))  # no line ends between a figure and its unit
    pieces = textwrap.wrap(kept, room, break_on_hyphens=False) or [""]
    return [
        [Span(f"{first if not number else '':{indent}}"), Span(piece.replace("\u00a0", " "), style)]
        for number, piece in enumerate(pieces)
    ]


def flowing(name: Span, cells: Sequence[Span], widths: Sequence[int], width: int) -> list[Line]:
    """A row whose cells stand side by side as far as they fit, and go on below `name` where they don't.

    `widths` are those of the cells' columns: rows with the same ones stand in line.
    """
    indent = widths[0] + GAP
    lines: list[list[Span]] = [[Span(f"{name.text:{indent}}", name.style)]]
    used = indent
    for cell, wide in zip(cells, widths[1:], strict=True):
        if used + wide > width and used > indent:
            lines.append([Span(" " * indent)])
            used = indent
        lines[-1].append(Span(f"{cell.text:{wide + GAP}}", cell.style))
        used += wide + GAP
    return [[*line[:-1], Span(line[-1].text.rstrip(), line[-1].style)] for line in lines]


@contextmanager
def keep_drawing(draw: Callable[[int], Drawing]) -> Iterator[None]:
    """Draw once a second, in the place of the last drawing, for as long as the block runs. `draw` gets the lines that
    the terminal has, and is called by a thread of its own: the screen lives while the block waits for an answer."""
    from rich.live import Live

    console = tables.open_console()
    with Live(console=console, get_renderable=lambda: draw(console.height), refresh_per_second=1):
        yield
