"""A glance into a database without opening it for good: nothing is made, locked or migrated."""

from pathlib import Path

from botctl.store.sqlite import open_read_only

SECONDS = 0.5
"""How long a glance waits for a lock. Somebody has just pressed the Tab key."""
MOST = 200


def known_symbols(path: Path) -> list[str]:
    """Symbols that were ever traded or decided on. Raises sqlite3.Error and OSError."""
    with open_read_only(path, SECONDS) as connection:
        rows = connection.execute('SELECT symbol FROM trade UNION SELECT symbol FROM "decision" ORDER BY symbol')
        return [symbol for (symbol,) in rows]


def newest_trades(path: Path) -> list[tuple[int, str, str]]:
    """Number, symbol and status of the newest trades, the newest first. Raises sqlite3.Error and OSError."""
    with open_read_only(path, SECONDS) as connection:
        rows = connection.execute("SELECT id, symbol, status FROM trade ORDER BY id DESC LIMIT ?", (MOST,))
        return rows.fetchall()
