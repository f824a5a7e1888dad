"""Damage of a database file: SQLite's own check, and moving a damaged file away."""

import os
import sqlite3
from datetime import datetime
from pathlib import Path

from botctl.domain.errors import Busy
from botctl.store.sqlite import explain, open_read_only

COMPANIONS = ("-wal", "-shm")
"""The suffixes of SQLite's files beside a database in use."""


def check_integrity(path: Path, busy_seconds: float) -> str | None:
    """SQLite's first complaint about the file at `path`, None without one. A file of another kind is a complaint too.

    It uses a read-only connection and changes nothing. A complaint must be repeated: a file that another process is
    writing may read wrongly once. Raises Busy when another process keeps it locked for more than `busy_seconds`.
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


def damaged_name(path: Path, now: datetime) -> Path:
    return path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")


def move_damaged(path: Path, to: Path) -> None:
    """Rename a damaged database and its companions. Nothing is deleted.

    The database goes first: if the run dies in between, the next one reports a missing database.
    """
    os.rename(path, to)
    for suffix in COMPANIONS:
        if os.path.exists(f"{path}{suffix}"):
            os.rename(f"{path}{suffix}", f"{to}{suffix}")
