"""Where a result goes: to stdout as a table or JSON, and to stderr a bar for the one who waits."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer

from botctl.domain.documents import to_plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from botctl.ports import Progress


QUICK = {
    "botctl.services.glances": "botctl.cli.render_status",
    "botctl.domain.positions": "botctl.cli.render_positions",
    "botctl.domain.switch_state": "botctl.cli.render_switch",
}


def show(ctx: typer.Context, result: Any) -> None:
    """Print one result."""
    if ctx.meta.get("json"):
        print(json.dumps(to_plain(result)))
    else:
        drawing = _drawing_of(type(result))
        _name_mode(ctx, type(result), drawing)
        show_table(drawing.VIEWS[type(result)](result))


def show_list(ctx: typer.Context, rows: Sequence[Any], when_empty: str) -> None:
    """Print several results of one kind."""
    if ctx.meta.get("json"):
        print(json.dumps(to_plain(rows)))
    elif rows:
        drawing = _drawing_of(type(rows[0]))
        _name_mode(ctx, type(rows[0]), drawing)
        show_table(drawing.LISTS[type(rows[0])](rows))
    else:
        print(f"{ctx.meta['mode']}: {when_empty}")


def _drawing_of(kind: type) -> ModuleType:
    """Who draws results of this kind: the quickest need not wait for all others to load."""
    return import_module(QUICK.get(kind.__module__, "botctl.cli.render"))


def _name_mode(ctx: typer.Context, kind: type, drawing: ModuleType) -> None:
    """Say whose figures these are, where the view itself does not: paper must never pass for live."""
    if kind not in drawing.NAMING_THE_MODE:
        print(f"{ctx.meta['mode']} mode")


def show_table(renderable: "RenderableType") -> None:
    """Print a table, or a text."""
    if isinstance(renderable, str):
        print(renderable)
        return
    from rich.console import Console

    Console(highlight=False, soft_wrap=False).print(renderable)


def keep_showing(look: Callable[[], Any], seconds: float) -> None:
    """Show what each look gives in the place of the one before, for ever."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            seen = look()
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
