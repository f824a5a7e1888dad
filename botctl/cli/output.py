"""Prints a result to stdout as a table or JSON, and progress bars to stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from botctl.cli.context import exit_with, wants_json
from botctl.cli.log import log_errors
from botctl.cli.tables import Drawing, open_console
from botctl.domain.errors import exit_code_of
from botctl.domain.health.checks import CheckResult
from botctl.domain.serialization import to_document
from botctl.domain.text import printable
from botctl.store.rows import Rows

if TYPE_CHECKING:
    from botctl.ports import Progress


def show[T](ctx: typer.Context, result: T, draw: Callable[[T], Drawing], *, name_mode: bool = True) -> None:
    """Print one result as JSON, or as `draw` draws it, below the mode, so that paper never passes for live."""
    # `name_mode=False` is for a drawing that names the mode itself, and for results that have none.
    if wants_json(ctx):
        print(json.dumps(to_document(result)))
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
    """Print several results of one kind: as a JSON list, or as `draw` draws them.

    Rows that could not be read are named on stderr, and are the exit code.
    """
    if rows or wants_json(ctx):
        show(ctx, rows, draw, name_mode=name_mode)
    else:
        print(f"{ctx.meta['mode']}: {when_empty}")
    if isinstance(rows, Rows):
        log_errors(rows.broken)
        exit_with(exit_code_of(rows.broken))


def show_checks(ctx: typer.Context, results: Sequence[CheckResult], when_empty: str, failure: int = 1) -> None:
    """Print the results of checks, and end with the exit code `failure` if one of them has failed."""
    from botctl.cli.views.setup import draw_checks

    show_list(ctx, results, draw_checks, when_empty, name_mode=False)
    exit_with(failure if any(result.status == "fail" for result in results) else 0)


def print_drawing(drawing: Drawing, *, err: bool = False) -> None:
    """On stdout or, with `err`, on stderr: what comes before a question is no result."""
    if isinstance(drawing, str):
        print(printable(drawing), file=sys.stderr if err else sys.stdout)
        return
    open_console(err=err).print(drawing, crop=False)  # `--full` may be wider


def with_progress[T](ctx: typer.Context, items: Sequence[T], text: str) -> Iterator[T]:
    """The items one by one, with a progress bar."""
    with progress_bar(ctx, text) as show_progress:
        for done, item in enumerate(items, 1):
            yield item
            show_progress(done, len(items))


@contextmanager
def progress_bar(ctx: typer.Context, text: str) -> "Iterator[Progress]":
    """A bar on stderr where that is a terminal, nothing with --json."""
    if wants_json(ctx) or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(console=open_console(err=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
