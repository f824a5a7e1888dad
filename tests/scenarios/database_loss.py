"""Steps for scenarios of a lost or damaged database, and of its recovery from the exchange's records."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bot_runner import BotRunner, Run
from tests.scenarios.steps import output_of

BOOKKEEPING = ("memory",)
"""Tables with the nonce and the rate counter, which every private call changes."""


def lose(live: BotRunner) -> None:
    """Delete the database and run init."""
    if live.server:
        live.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for suffix in ("", "-wal", "-shm"):
        live.database.with_name(live.database.name + suffix).unlink(missing_ok=True)
    assert live.run("init").exit_code == 0


def save(live: BotRunner) -> Path:
    """A backup through SQLite's backup API, or a copied database on a server."""
    if live.server:
        return Path(live.server.new_database(like=live.url_of(live.mode)))
    backup = live.home / f"backup-{len(list(live.home.glob('backup-*')))}.db"
    with closing(sqlite3.connect(live.database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    return backup


def restore(live: BotRunner, backup: Path) -> None:
    if live.server:
        live.server.drop(live.url_of(live.mode))
        live.server.new_database(like=backup.name, name=live.url_of(live.mode))
        return
    lose(live)
    shutil.copy(backup, live.database)


def damage(live: BotRunner, *, header: bool = False) -> bytes:
    """Overwrite some pages of the file, or its header, with garbage. Returns the new content."""
    content = bytearray(live.database.read_bytes())
    start = 0 if header else 4096 * 2
    assert len(content) > start + 8192
    content[start : start + 8192] = os.urandom(8192)
    live.database.write_bytes(content)
    return bytes(content)


def kept(live: BotRunner) -> dict[str, list[Any]]:
    """Every row that recover must not change."""
    return live.rows(without=BOOKKEEPING)


def recover(live: BotRunner, *options: str) -> dict[str, Any]:
    """`recover --apply`, which must succeed."""
    run = live.run("recover", "--apply", "--yes", "--json", *options)
    assert run.exit_code == 0, output_of(run)
    answer: dict[str, Any] = run.json()
    return answer


def planned(live: BotRunner) -> list[tuple[str, int]]:
    """The actions that recover plans, with their trades."""
    return [(row["action"], row["trade_id"]) for row in live.json("recover")["actions"]]


def reconciled(live: BotRunner) -> Run:
    return live.run("reconcile", "--json")


def all_trades(live: BotRunner) -> list[dict[str, Any]]:
    """Every column of every trade."""
    from botctl.store.database import close_database
    from botctl.store.models import Trade

    live.open_store()
    rows = [dict(trade.__data__) for trade in Trade.select().order_by(Trade.id)]
    close_database()
    return rows


def all_orders(live: BotRunner) -> list[dict[str, Any]]:
    """Every column of every order."""
    from botctl.store.database import close_database
    from botctl.store.models import Order

    live.open_store()
    rows = [dict(order.__data__) for order in Order.select().order_by(Order.created_at)]
    close_database()
    return rows
