"""The door of SQLite: what it says leaves this floor as one of our own errors, with the fix."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from peewee import PeeweeException, SqliteDatabase

from botctl.domain.errors import BotError, Busy, ConfigError

DATABASE_ERRORS = (PeeweeException, sqlite3.Error)

DAMAGED_HINT = "`botctl recover` shows what the exchange knows; `botctl recover --apply` rebuilds"
"""The way out of a database that is damaged."""


def explain(error: BaseException, path: object = "the database") -> BotError:
    """A database error as a sentence with the fix."""
    text = str(error)
    if "locked" in text:
        return Busy(f"{path} is locked by another process", hint="try again in a moment")
    if "readonly" in text or "unable to open" in text:
        return ConfigError(f"can't write {path}", hint="check the folder's owner, mode and disk")
    if "not a database" in text or "malformed" in text:
        return damaged(path, text)
    if "disk is full" in text or "disk I/O" in text:
        return BotError(f"{path} can't be written: {text}", hint="free some disk space; the next run goes on")
    if isinstance(error, DATABASE_ERRORS):
        return BotError(f"{path} failed: {text}", hint="see `botctl doctor`")
    return BotError(f"{path}: {text}")


def damaged(path: object, complaint: str) -> ConfigError:
    """What to say of a database that can't be trusted any more."""
    return ConfigError(f"{path} is damaged ({complaint})", hint=DAMAGED_HINT)


class Database(SqliteDatabase):
    """peewee's SQLite, whose errors are ours. A broken rule of the tables stays peewee's own IntegrityError."""

    def cursor(self, named_cursor: str | None = None) -> sqlite3.Cursor:
        """The one place that every statement and every row goes through."""
        connection: sqlite3.Connection = self.connection()  # type: ignore[no-untyped-call]
        return connection.cursor(partial(_Cursor, self.database))

    def rollback(self) -> None:
        """A full disk makes SQLite roll back by itself: a second time would be an error that hides the first."""
        if self.connection().in_transaction:  # type: ignore[no-untyped-call]
            super().rollback()


class _Cursor(sqlite3.Cursor):
    """Rows come one by one, so damage may show at any of them and not only at the statement."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._path = path

    def execute(self, sql: str, *parameters: Any) -> "_Cursor":
        with self._translated():
            super().execute(sql, *parameters)
        return self

    def executemany(self, sql: str, parameters: Any) -> "_Cursor":
        with self._translated():
            super().executemany(sql, parameters)
        return self

    def fetchone(self) -> Any:
        with self._translated():
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with self._translated():
            return super().fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
