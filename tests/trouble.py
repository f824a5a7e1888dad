"""What happens to a database file: damage, and another process that keeps it for itself."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path


def damage(database: Path, name: str) -> None:
    """Garbage over the first page of a table or an index, as a dying disk leaves it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(range(256)) * (size // 256))


class Writer:
    """Another process at work in the database: it holds the write lock from `take` until it commits."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._connection: sqlite3.Connection | None = None

    def take(self, *statements: str, commit_after: float | None = None) -> None:
        """Begin a transaction, once; leave it open, or commit it by itself after so many seconds."""
        if self._connection is not None:
            return
        self._connection = sqlite3.connect(self.database, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            self._connection.execute(statement)
        if commit_after is not None:
            threading.Timer(commit_after, self.commit).start()

    def commit(self) -> None:
        assert self._connection is not None, "it never began"
        self._connection.execute("COMMIT")
        self._connection.close()
