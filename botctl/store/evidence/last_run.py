"""A file beside the database that tells when an older copy of the database was put back."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from botctl.domain.errors import BotError
from botctl.store.evidence.unrecorded_orders import mark_put_back

log = logging.getLogger(__name__)


@contextmanager
def remember_run(database: Path, load_counter: Callable[[], int]) -> Iterator[None]:
    """Compare the open database with the last run's, and remember it again after the block. Needs the run's lock.

    The counter is in the database and rises with every run that calls the exchange. The file has it as it was after
    the last run: a database with a lower one was put back. `database` is its file, or for one on a server the file
    that it would be. Nothing here may stop a run.
    """
    file = database.with_name(f"{database.name}.last-run")
    try:
        remembered = _read(file)
        if remembered is not None and 0 < load_counter() < remembered:  # a new database has none yet
            log.warning("%s is older than the last run: an older copy was put back", database)
            mark_put_back()
    except BotError as error:
        log.warning("%s can't be compared with the last run: %s", database, error)
    try:
        yield
    finally:
        _save(file, load_counter)


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # without it only the time between two ticks tells
        return None


def _save(file: Path, load_counter: Callable[[], int]) -> None:
    part = file.with_name(f"{file.name}.part")
    try:
        counter = load_counter()
        if counter == _read(file):
            return
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(f"{counter}\n")
        os.replace(part, file)
    except (OSError, BotError) as error:
        log.debug("can't write %s: %s", file, error)
