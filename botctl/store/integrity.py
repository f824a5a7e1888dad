"""Whether the database is sound, by SQLite's own check."""

import sqlite3
from contextlib import closing
from pathlib import Path

from botctl.domain.errors import Busy
from botctl.store.door import explain

BUSY_SECONDS = 10
"""How long the check waits for another process that keeps the whole file for itself."""


def check_integrity(path: Path) -> str:
    """SQLite's first complaint about the database at `path`; empty when it is sound.

    On a read-only connection of its own, so that it sees the file and changes nothing. A file that is no database is
    a complaint too. Raises Busy while another process keeps it locked.
    """
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        ) as database:
            [complaint] = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        explained = explain(error, path)
        if isinstance(explained, Busy):
            raise explained from error
        return str(error)
    return "" if complaint == "ok" else " ".join(str(complaint).split())
