"""Shell completion of SYMBOL and TRADE from the settings and the local database.

It writes nothing, waits for nothing and shows no error: with broken settings there are no suggestions. A database on a
server is not asked.
"""

from contextlib import suppress

import typer

from botctl.cli.context import env_file_of
from botctl.config import load_config
from botctl.store.sqlite import open_read_only

BUSY_SECONDS = 0.5
"""How long a completion waits for a locked database."""
MAX_TRADES = 200
ALL_SYMBOLS = 'SELECT symbol FROM trade UNION SELECT symbol FROM "decision" ORDER BY symbol'
NEWEST_TRADES = f"SELECT id, symbol, status FROM trade ORDER BY id DESC LIMIT {MAX_TRADES}"


def complete_symbol(ctx: typer.Context, incomplete: str) -> list[str]:
    """The symbols of SYMBOLS, and those that were ever traded or decided on."""
    symbols: list[str] = []
    with suppress(Exception):
        config = load_config(env_file_of(ctx))
        symbols += config.settings.symbols
        with open_read_only(config.database_file, BUSY_SECONDS) as connection:
            symbols += [symbol for (symbol,) in connection.execute(ALL_SYMBOLS)]
    return [symbol for symbol in dict.fromkeys(symbols) if symbol.startswith(incomplete)]


def complete_trade(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The ids of the newest trades, each with its symbol and status."""
    with suppress(Exception), open_read_only(load_config(env_file_of(ctx)).database_file, BUSY_SECONDS) as connection:
        trades = connection.execute(NEWEST_TRADES).fetchall()
        return [(str(id), f"{symbol} {status}") for id, symbol, status in trades if str(id).startswith(incomplete)]
    return []
