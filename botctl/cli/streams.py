"""stdin, stdout and stderr that may be closed, full or gone: a run does its work without them."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


class TolerantFile(io.FileIO):
    """A file whose failed writes are remembered instead of raised: what was printed is lost, the work goes on."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes  # type: ignore[arg-type]


def make_streams_tolerant() -> None:
    """Replace stdout and stderr, and open what is closed: else a database could get the number of stdout."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _open_nothing()  # gets the lowest free number: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - Python's own is never closed either
    sys.stdout, sys.stderr = _tolerant(1, sys.stdout), _tolerant(2, sys.stderr)


def _open_nothing() -> None:
    try:
        os.open(os.devnull, os.O_RDWR)
    except OSError:  # a jail without /dev
        os.memfd_create("nothing")


def _tolerant(number: int, before: TextIO | None) -> TextIO:
    if before is not None:
        with suppress(OSError):
            before.flush()
    file = TolerantFile(number, "w", closefd=False)
    encoding = getattr(before, "encoding", None) or "utf-8"
    # A path may hold bytes that are not text.
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding, errors="backslashreplace", line_buffering=number == 2 or file.isatty()
    )


def lost_output() -> OSError | None:
    """Why stdout could not be written, after all that is left of it."""
    if sys.stdout is None:
        return None
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, TolerantFile) else None
