"""Whether a database file is sound, by SQLite's own check, and out of whose way it goes when it is not."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from botctl.domain.errors import Busy
from botctl.store.door import explain

BUSY_SECONDS = 10
"""How long the check waits for another process that keeps the whole file for itself."""
COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database in use."""


def check_integrity(path: Path) -> str:
    """SQLite's first complaint about the database at `path`; empty when it is sound.

    On a read-only connection of its own, so that it sees the file and changes nothing. A file that is no database is
    a complaint too. A complaint must be repeated: a file that another process is just writing may read oddly once.
    Raises Busy while another process keeps it locked.
    """
    return _complaint(path) and _complaint(path)


def _complaint(path: Path) -> str:
    # Read-only SQLite still leaves a -wal and a -shm beside the file; "immutable" keeps it from that, and is true
    # while no -wal says that somebody writes.
    options = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=BUSY_SECONDS)
        ) as database:
            [complaint] = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        explained = explain(error, path)
        if isinstance(explained, Busy):
            raise explained from error
        return str(error)
    return "" if complaint == "ok" else " ".join(str(complaint).split())


def name_aside(path: Path, now: datetime) -> Path:
    """What a damaged database is called from `now` on."""
    return path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")


def move_aside(path: Path, aside: Path) -> None:
    """Move a damaged database out of the way, with what SQLite keeps beside it. Nothing is deleted.

    The database itself goes first: a run that dies in between leaves none in its place, and the next one says so.
    """
    os.rename(path, aside)
    for suffix in COMPANIONS:
        if os.path.exists(f"{path}{suffix}"):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
