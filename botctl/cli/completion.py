"""What the shell offers for SYMBOL and TRADE when somebody presses Tab: from the settings and the local database.

It makes nothing, waits for nothing and never complains: no offer is what a broken home has, and nobody's Tab key waits
for a database on a server.
"""

from contextlib import suppress
from pathlib import Path

import typer

from botctl.cli.context import env_file_of
from botctl.config import Config, load_config
from botctl.store.sqlite import open_read_only

BUSY_SECONDS = 0.5
"""How long a completion waits for a locked database."""
TRADES_OFFERED = 200


def complete_symbol(ctx: typer.Context, incomplete: str) -> list[str]:
    """The symbols of SYMBOLS, and those that were ever traded or decided on."""
    symbols: list[str] = []
    with suppress(Exception):
        config = _home(ctx)
        symbols += config.settings.symbols
        symbols += known_symbols(config.database_file)
    return [symbol for symbol in dict.fromkeys(symbols) if symbol.startswith(incomplete)]


def complete_trade(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The numbers of the newest trades, each with its symbol and status."""
    with suppress(Exception):
        trades = newest_trades(_home(ctx).database_file)
        return [(str(id), f"{symbol} {status}") for id, symbol, status in trades if str(id).startswith(incomplete)]
    return []


def _home(ctx: typer.Context) -> Config:
    """The settings alone: no log is begun."""
    return load_config(env_file_of(ctx))


def known_symbols(path: Path) -> list[str]:
    """Symbols that were ever traded or decided on. Raises sqlite3.Error and OSError."""
    with open_read_only(path, BUSY_SECONDS) as connection:
        rows = connection.execute('SELECT symbol FROM trade UNION SELECT symbol FROM "decision" ORDER BY symbol')
        return [symbol for (symbol,) in rows]


def newest_trades(path: Path) -> list[tuple[int, str, str]]:
    """Number, symbol and status of the newest trades, the newest first. Raises sqlite3.Error and OSError."""
    with open_read_only(path, BUSY_SECONDS) as connection:
        rows = connection.execute("SELECT id, symbol, status FROM trade ORDER BY id DESC LIMIT ?", (TRADES_OFFERED,))
        return rows.fetchall()
