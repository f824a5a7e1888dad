"""Access to a database from outside botctl: reads, changes, another writer, a held lock."""

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from botctl.store.location import DatabaseLocation, PostgresServer
from botctl.store.server.postgres import RUN_LOCK

DOWNGRADES = {
    2: ('DROP INDEX "trade_mark"', 'ALTER TABLE "trade" DROP COLUMN "mark"'),
    3: ('DROP TABLE "alarm"', 'DROP TABLE "outgoing"'),
    4: ('DROP INDEX "trade_active"', 'DROP INDEX "order_unsettled"'),
    5: (
        'DROP INDEX "decision_trade_id"',
        'ALTER TABLE "decision" DROP COLUMN "trade_id"',
        'ALTER TABLE "event" DROP COLUMN "price"',
        'ALTER TABLE "order" DROP COLUMN "error_class"',
    ),
    6: (
        'DROP INDEX "order_inexact"',
        'ALTER TABLE "order" DROP COLUMN "inexact"',
        'ALTER TABLE "trade" DROP COLUMN "seen_at"',
        'ALTER TABLE "tick" DROP COLUMN "drawdown_peak"',
        'DROP INDEX "trade_unknown"',
        'DROP INDEX "order_unknown"',
    ),
    7: (
        'DROP INDEX "trade_asset_closed"',
        'ALTER TABLE "trade" DROP COLUMN "initial_stop_loss_price"',
        'ALTER TABLE "trade" RENAME COLUMN "entry_time" TO "opened_at"',
        'ALTER TABLE "trade" RENAME COLUMN "exit_time" TO "closed_at"',
        'CREATE INDEX "trade_asset_closed" ON "trade" ("asset", "closed_at")',
    ),
    8: (
        'DROP TABLE "paperstop"',
        'DROP INDEX "one_resting_order_per_trade"',
        'DROP INDEX "order_resting"',
        'DROP INDEX "order_unknown"',
        'ALTER TABLE "order" DROP COLUMN "trigger"',
        'CREATE INDEX "order_unknown" ON "order" (id) WHERE state NOT IN '
        "('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED', 'FILLED', 'CANCELED', 'REJECTED', 'ABSENT')",
    ),
}
"""The statements that undo the migration to each version of the schema."""


def rows_of(where: DatabaseLocation, *, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Every row of every table. A file is read from a copy, so that reading changes nothing."""
    if isinstance(where, PostgresServer):
        with psycopg.connect(where.url.reveal()) as server:
            names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
            wanted = [name for (name,) in names if name not in without]
            return {name: server.execute(f'SELECT * FROM "{name}" ORDER BY id').fetchall() for name in wanted}
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if Path(f"{where}{suffix}").exists():
                shutil.copy(f"{where}{suffix}", f"{folder}/copy{suffix}")
        with closing(sqlite3.connect(f"{folder}/copy")) as file:
            file.text_factory = lambda stored: stored.decode(errors="backslashreplace")
            tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: file.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables if name not in without}


def execute(where: DatabaseLocation, statement: str) -> None:
    """One statement, committed."""
    if isinstance(where, PostgresServer):
        with psycopg.connect(where.url.reveal(), autocommit=True) as server:
            server.execute(statement)
        return
    with closing(sqlite3.connect(str(where))) as file, file:
        file.execute(statement)


class Writer:
    """Another process that writes: it blocks other writers from `take` until it commits."""

    def __init__(self, where: DatabaseLocation) -> None:
        self.where = where
        self._connection: sqlite3.Connection | psycopg.Connection[Any] | None = None

    def take(self, *statements: str, commit_after: float | None = None) -> None:
        """Begin a transaction, once. It stays open, or commits by itself after `commit_after` seconds.

        On a server a statement locks only what it changes; without one all tables are locked, as another run does.
        """
        if self._connection is not None:
            return
        if isinstance(self.where, PostgresServer):
            self._connection = server = psycopg.connect(self.where.url.reveal(), autocommit=True)
            server.execute("BEGIN")
            if not statements:
                names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
                tables = ", ".join(f'"{name}"' for (name,) in names)
                server.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
        else:
            self._connection = sqlite3.connect(str(self.where), isolation_level=None, check_same_thread=False)
            self._connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            self._connection.execute(statement)
        if commit_after is not None:
            threading.Timer(commit_after, self.commit).start()

    def commit(self) -> None:
        assert self._connection is not None, "no transaction was begun"
        self._connection.execute("COMMIT")
        self._connection.close()


@contextmanager
def held_lock(where: DatabaseLocation) -> Iterator[None]:
    """Another run holds the lock of the database."""
    if isinstance(where, PostgresServer):
        with psycopg.connect(where.url.reveal(), autocommit=True) as other:
            taken = other.execute(f"SELECT pg_try_advisory_lock({RUN_LOCK}, hashtext(current_schema()))").fetchone()
            assert taken == (True,)
            yield
        return
    with where.lock(0):
        yield
