"""What happens to a database file: damage."""

import sqlite3
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
