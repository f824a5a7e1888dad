"""Where a result goes: to stdout as a table or JSON, and to stderr a bar for the one who waits."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from botctl.cli.tables import Drawing
from botctl.domain.serialization import to_json

if TYPE_CHECKING:
    from botctl.ports import Progress


def show[T](ctx: typer.Context, result: T, draw: Callable[[T], Drawing], *, name_mode: bool = True) -> None:
    """Print one result: as JSON, or as `draw` draws it.

    Above it stands the mode, since paper must never pass for live. `name_mode=False` is for a drawing that says it
    itself, and for what no mode has a part in.
    """
    if ctx.meta.get("json"):
        print(json.dumps(to_json(result)))
        return
    if name_mode:
        print(f"{ctx.meta['mode']} mode")
    print_drawing(draw(result))


def show_list[T](
    ctx: typer.Context,
    rows: Sequence[T],
    draw: Callable[[Sequence[T]], Drawing],
    when_empty: str,
    *,
    name_mode: bool = True,
) -> None:
    """Print several results of one kind: as a JSON list, or as `draw` draws them."""
    if rows or ctx.meta.get("json"):
        show(ctx, rows, draw, name_mode=name_mode)
    else:
        print(f"{ctx.meta['mode']}: {when_empty}")


def print_drawing(drawing: Drawing) -> None:
    """Print a table, or a text."""
    if isinstance(drawing, str):
        print(drawing)
        return
    from rich.console import Console

    Console(highlight=False, soft_wrap=False).print(drawing)


def keep_showing(draw: Callable[[], Drawing], seconds: float) -> None:
    """Show what each look gives in the place of the one before, for ever."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            seen = draw()
            live.update(Text(seen) if isinstance(seen, str) else seen, refresh=True)  # brackets are no markup
            time.sleep(seconds)


def with_progress[T](items: Sequence[T], text: str, *, quiet: bool) -> Iterable[T]:
    """The items one by one, with a bar on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, text, console=Console(stderr=True), transient=True)


@contextmanager
def progress(text: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; call what it gives with how many more are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda more: bar.advance(task, more)


@contextmanager
def progress_bar(ctx: typer.Context, words: str) -> "Iterator[Progress]":
    """A bar on stderr for the one who waits on a terminal; nothing for scripts."""
    if ctx.meta.get("json") or not sys.stderr.isatty():
        yield lambda done, whole: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
