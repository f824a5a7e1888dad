"""Whether a database file is sound, and out of whose way it goes when it is not."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database in use."""


def check_integrity(path: Path) -> str:
    """What SQLite's own check first complains of; the empty text when the file is sound. Writes nothing.

    A complaint must be repeated: a file that another process is just writing may read oddly once.
    """
    return _complaint(path) and _complaint(path)


def _complaint(path: Path) -> str:
    # Read-only SQLite would still leave a -wal and a -shm beside the file; "immutable" keeps it from that, and is true
    # while no -wal says that somebody writes.
    options = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True)) as connection:
            [said] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else str(said)


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
