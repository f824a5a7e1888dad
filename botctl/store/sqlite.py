"""SQLite: connections whose errors are translated into our own, with the fix."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from peewee import PeeweeException, SqliteDatabase

from botctl.domain.errors import BotError, Busy, ConfigError
from botctl.store.fields import decode_leniently

DATABASE_ERRORS = (PeeweeException, sqlite3.Error)

DAMAGED_HINT = "`botctl recover` shows what the exchange knows; `botctl recover --apply` rebuilds"


def explain(error: BaseException, path: object = "the database") -> BotError:
    """Translate a database error by SQLite's result code."""
    original = getattr(error, "orig", None)  # SQLite's own error in peewee's
    error = original if isinstance(original, sqlite3.Error) else error
    code, text = primary_code_of(error), str(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"{path} is locked by another process", hint="try again in a moment")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ConfigError(f"can't write {path}", hint="check the folder's owner and permissions, and the disk")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return damaged(path, text)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return BotError(f"{path} can't be written: {text}", hint="free some disk space; the next run goes on")
    if isinstance(error, DATABASE_ERRORS):
        return BotError(f"{path} failed: {text}", hint="see `botctl doctor`")
    return BotError(f"{path}: {text}")


def primary_code_of(error: BaseException) -> int | None:
    """SQLite's primary result code; None for other errors, such as a closed connection."""
    code: int | None = getattr(error, "sqlite_errorcode", None)  # the extended one: SQLITE_BUSY_SNAPSHOT is 517
    return None if code is None else code & 0xFF


def damaged(path: object, complaint: str) -> ConfigError:
    return ConfigError(f"{path} is damaged ({complaint})", hint=DAMAGED_HINT)


def make_private_file(path: Path) -> None:
    """The file must exist with mode 0600 before SQLite opens it: its -wal and -shm take their mode from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "no permission to write")


@contextmanager
def open_read_only(path: Path, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """A read-only connection that creates no file beside the database.

    Even with mode=ro SQLite creates a -wal and a -shm, unless the file is "immutable". Without a -wal nothing writes
    and everything is in the file, so that it is.
    """
    wal = path.with_name(f"{path.name}-wal")
    options = "mode=ro" if wal.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=busy_seconds)) as opened:
        yield opened


class Database(SqliteDatabase):
    """peewee's SQLite with our errors. A violated constraint stays peewee's IntegrityError."""

    interrupted = False
    """Whether a process was cut off, or is at work, while it had the database open."""

    def cursor(self, named_cursor: str | None = None) -> sqlite3.Cursor:
        """Every statement and every row goes through this cursor."""
        connection: sqlite3.Connection = self.connection()  # type: ignore[no-untyped-call]
        connection.text_factory = decode_leniently  # Python's own decoding fails the whole statement
        return connection.cursor(partial(_Cursor, self.database))

    def rollback(self) -> None:
        """A full disk makes SQLite roll back by itself: a second rollback would fail and hide the first error."""
        if self.connection().in_transaction:  # type: ignore[no-untyped-call]
            super().rollback()

    def without_idle_timeout(self) -> AbstractContextManager[None]:
        """SQLite has no such timeout."""
        return nullcontext()

    def advance_id_sequence(self, table: str) -> None:
        """SQLite continues after the highest id by itself."""


class ReadOnlyDatabase(Database):
    """The same, through which nothing can be written; closing it leaves the file and its log as they are."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        super().__init__(str(path), timeout=busy_seconds)
        self.busy_seconds = busy_seconds

    def _connect(self) -> sqlite3.Connection:
        address = f"{Path(self.database).absolute().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=self.busy_seconds, isolation_level=None)


class _Cursor(sqlite3.Cursor):
    """Translates errors of single rows as well: damage may show at any of them."""

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
