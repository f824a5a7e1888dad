"""A glance into a database without opening it for good: nothing is made, locked or migrated."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SECONDS = 0.5
"""How long a glance waits for a lock. Somebody has just pressed the Tab key."""
MOST = 200


def known_symbols(path: Path) -> list[str]:
    """Symbols that were ever traded or decided on. Raises sqlite3.Error and OSError."""
    with _glance(path) as connection:
        rows = connection.execute('SELECT symbol FROM trade UNION SELECT symbol FROM "decision" ORDER BY symbol')
        return [symbol for (symbol,) in rows]


def newest_trades(path: Path) -> list[tuple[int, str, str]]:
    """Number, symbol and status of the newest trades, the newest first. Raises sqlite3.Error and OSError."""
    with _glance(path) as connection:
        rows = connection.execute("SELECT id, symbol, status FROM trade ORDER BY id DESC LIMIT ?", (MOST,))
        return rows.fetchall()


@contextmanager
def _glance(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can't write. Without a -wal beside it all is in the file, and SQLite, which would make files
    to read along with writers, is told that nobody writes."""
    beside = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if beside.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=SECONDS)) as connection:
        yield connection
