"""Whether a database file is sound, by SQLite's own check, and out of whose way it goes when it is not."""

import os
import sqlite3
from datetime import datetime
from pathlib import Path

from botctl.domain.errors import Busy
from botctl.store.sqlite import explain, open_read_only

COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database in use."""


def check_integrity(path: Path, busy_seconds: float) -> str | None:
    """SQLite's first complaint about the database at `path`; None when it is sound.

    On a read-only connection of its own, so that it sees the file and changes nothing. A file that is no database is
    a complaint too. A complaint must be repeated: a file that another process is just writing may read oddly once.
    Raises Busy when another process keeps the whole file for itself for longer than `busy_seconds`.
    """
    return _complaint(path, busy_seconds) and _complaint(path, busy_seconds)


def _complaint(path: Path, busy_seconds: float) -> str | None:
    try:
        with open_read_only(path, busy_seconds) as database:
            [complaint] = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        explained = explain(error, path)
        if isinstance(explained, Busy):
            raise explained from error
        return str(error)
    return None if complaint == "ok" else " ".join(str(complaint).split())


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
