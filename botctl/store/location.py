"""The two kinds of database, a SQLite file and a PostgreSQL server, behind one interface."""

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botctl.domain.configuration.database_url import SQLITE, ServerUrl
from botctl.domain.errors import ConfigError
from botctl.files import sync_to_disk
from botctl.links import refuse_links
from botctl.run_lock import LockHolder, ProcessHolder, find_holder, run_lock
from botctl.store.integrity import COMPANIONS, check_integrity
from botctl.store.models import TABLES_LOCKED_FOR_WRITES, database
from botctl.store.sqlite import DATABASE_ERRORS, Database, ReadOnlyDatabase, damaged, explain, make_private_file

if TYPE_CHECKING:
    from botctl.store.copy import OpenDatabase
    from botctl.store.server.postgres import ServerDatabase
    from botctl.store.server.session_lock import SessionHolder

BUSY_SECONDS = 10.0
"""How long a statement waits for another process to finish writing."""


class DatabaseLocation(ABC):
    """Where a database is, and the operations that differ between the two kinds. Prints without a password."""

    hint_if_missing: str

    @property
    def file(self) -> Path | None:
        """The database's file; None on a server."""
        return None

    def lacks_file(self) -> bool:
        """Whether it is a file that does not exist. Connects to no server."""
        return self.file is not None and not self.exists()

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a database. Raises ConfigError or DatabaseUnreachable."""

    def is_open(self) -> bool:
        """Whether it is this process's open database."""
        return database.obj is not None and not database.is_closed() and opened_where() == self

    @abstractmethod
    def connect(self, *, durable: bool = True) -> None:
        """Open it as this process's database. A missing file is created with mode 0600 and without tables.

        Without `durable` a power cut may lose the file. Raises OSError, and one of DATABASE_ERRORS or BotError.
        """

    def connect_unchanged(self) -> None:
        """As `connect`, but create and change nothing."""
        self.connect()

    @abstractmethod
    def connect_read_only(self) -> None:
        """As `connect`, but create and change nothing, and refuse to write. No run waits for this connection."""

    @abstractmethod
    def lock(self, wait_seconds: float) -> AbstractContextManager[None]:
        """Hold the run's lock: on this machine for a file, among all machines on a server.

        Waits up to `wait_seconds` for another run to end, then raises LockHeld. Raises ConfigError or
        DatabaseUnreachable when it can't be locked.
        """

    @abstractmethod
    def find_lock_holder(self) -> LockHolder | None:
        """The run that holds the lock; None for none, or none that is known. On a server it must be open."""

    @abstractmethod
    def end_lock_holder(self, holder: LockHolder) -> None:
        """End this run if it still holds the lock, so that the lock is free. Raises NotEnded, or why it can't tell."""

    @abstractmethod
    def open_beside(self, wait_seconds: float) -> "AbstractContextManager[OpenDatabase]":
        """Open and lock it in addition to the open database. A file created for a block that fails is deleted.

        Raises Busy, ConfigError, BotError.
        """

    def find_damage(self) -> str | None:
        """SQLite's complaint about the file; None when it has none. A server checks its files itself.

        Raises Busy while another process keeps the file locked.
        """
        return None

    @abstractmethod
    def keep_version(self, version: int) -> None:
        """Back up the open database at schema `version`, inside its migration: a file beside it, or another schema on
        the server. An existing backup stays."""

    def back_up(self, to: Path, *, must_be_intact: bool) -> None:
        """Make a consistent copy in a SQLite file, with mode 0600, complete or not at all. An existing file stays.

        Raises OSError, sqlite3.Error, BotError; ConfigError when it `must_be_intact` and is damaged.
        """
        part = to.with_name(f"{to.name}.{os.getpid()}.part")
        _discard(part)  # of a killed run with the same process id
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # follows no link
        try:
            self._copy_into(part)
            with closing(sqlite3.connect(part)) as copy:
                copy.execute("PRAGMA journal_mode = DELETE")  # a single file
                [complaint] = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if must_be_intact and complaint != "ok":
                raise damaged(self, " ".join(str(complaint).split()))
            sync_to_disk(part)
            _name_unless_taken(part, to)
            sync_to_disk(to.parent)
        finally:
            _discard(part)

    @abstractmethod
    def _copy_into(self, empty: Path) -> None:
        """Copy the last committed state; other writers are not locked out."""


@dataclass(frozen=True)
class SqliteFile(DatabaseLocation):
    """A database in a SQLite file."""

    path: Path
    busy_seconds: float = field(default=BUSY_SECONDS, compare=False)
    hint_if_missing = "start botctl in its home (or set BOTCTL_HOME), or run `botctl init` to create one"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def file(self) -> Path:
        return self.path

    def exists(self) -> bool:
        try:
            return self.path.exists()
        except PermissionError:  # connecting says so
            return True

    def connect(self, *, durable: bool = True) -> None:
        make_private_file(self.path)
        log = Path(f"{self.path}-wal")
        interrupted = log.exists() and log.stat().st_size > 0  # the last process to close a database empties it
        _use(self._database(durable=durable))
        database.connect()
        database.obj.interrupted = interrupted

    def connect_unchanged(self) -> None:
        _use(Database(str(self.path), timeout=self.busy_seconds))
        database.connect()

    def connect_read_only(self) -> None:
        _use(ReadOnlyDatabase(self.path, self.busy_seconds))
        database.connect()

    def lock(self, wait_seconds: float) -> AbstractContextManager[None]:
        return run_lock(self._lock_file, wait_seconds)

    @property
    def _lock_file(self) -> Path:
        real = Path(os.path.realpath(self.path))  # one lock for one file, whatever its names
        return real.with_name(f"{real.name}.lock")

    def find_lock_holder(self) -> ProcessHolder | None:
        return find_holder(self._lock_file)

    def end_lock_holder(self, holder: LockHolder) -> None:
        if isinstance(holder, ProcessHolder):
            holder.end()

    @contextmanager
    def open_beside(self, wait_seconds: float) -> Iterator[Database]:
        existed, done = self.exists(), False
        with self.lock(wait_seconds):
            try:
                refuse_links(self.path)
                make_private_file(self.path)
                beside = self._database()
                try:
                    yield beside
                    done = True
                finally:
                    beside.close()
            except OSError as error:
                hint = "check the folder and the disk"
                raise ConfigError(f"can't write {self}: {error.strerror}", hint=hint) from error
            except DATABASE_ERRORS as error:
                raise explain(error, self) from error
            finally:
                if not existed and not done:
                    for suffix in ("", *COMPANIONS):
                        Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def find_damage(self) -> str | None:
        return check_integrity(self.path, self.busy_seconds)

    def keep_version(self, version: int) -> None:
        # A damaged one is copied too: its stops need the migration more than a sound copy.
        self.back_up(self.path.with_name(f"{self.path.name}.v{version}.backup"), must_be_intact=False)

    def _copy_into(self, empty: Path) -> None:
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(empty)) as target:
            source.backup(target)

    def _database(self, *, durable: bool = True) -> Database:
        pragmas = {"journal_mode": "wal", "synchronous": "full" if durable else "off", "foreign_keys": 1}
        return Database(str(self.path), pragmas=pragmas, timeout=self.busy_seconds)


@dataclass(frozen=True)
class PostgresServer(DatabaseLocation):
    """A database on a PostgreSQL server. One connection is used for a whole run, and holds its lock."""

    url: ServerUrl
    busy_seconds: float = field(default=BUSY_SECONDS, compare=False)
    hint_if_missing = "correct DATABASE_URL, or run `botctl init` to create one"

    def __str__(self) -> str:
        return str(self.url)

    def exists(self) -> bool:
        self.connect()
        return "stamp" in database.get_tables()

    def connect(self, *, durable: bool = True) -> None:
        """An open connection is kept: it may hold the lock."""
        if not self.is_open():
            server = self._database()
            _use(server)
            server.open()

    def connect_read_only(self) -> None:
        self.connect()
        database.execute_sql("SET default_transaction_read_only = on")

    @contextmanager
    def lock(self, wait_seconds: float) -> Iterator[None]:
        from botctl.store.server.session_lock import advisory_lock

        try:
            self.connect()
            with advisory_lock(database.obj, wait_seconds):
                yield
        finally:
            close_database()

    def find_lock_holder(self) -> "SessionHolder | None":
        from botctl.store.server.session_lock import find_session

        return find_session(database.obj)

    def end_lock_holder(self, holder: LockHolder) -> None:
        from botctl.store.server.session_lock import SessionHolder, end_session

        if isinstance(holder, SessionHolder):
            with self._beside() as beside:
                end_session(beside, holder)

    @contextmanager
    def open_beside(self, wait_seconds: float) -> "Iterator[ServerDatabase]":
        from botctl.store.server.session_lock import advisory_lock

        with self._beside() as beside, advisory_lock(beside, wait_seconds):
            yield beside

    @contextmanager
    def _beside(self) -> "Iterator[ServerDatabase]":
        """A connection besides this process's own."""
        beside = self._database()
        beside.open()
        try:
            yield beside
        finally:
            beside.close()

    def keep_version(self, version: int) -> None:
        database.obj.copy_tables_to_schema(f"botctl_v{version}")

    def _copy_into(self, empty: Path) -> None:
        from botctl.store.copy import copy_into_file

        copy_into_file(empty)

    def _database(self) -> "ServerDatabase":
        from botctl.store.server.postgres import ServerDatabase  # not loaded for SQLite

        locked = tuple(table._meta.table_name for table in TABLES_LOCKED_FOR_WRITES)
        return ServerDatabase(self.url, locked, self.busy_seconds)


def find_location(url: str | ServerUrl, home: Path, busy_seconds: float = BUSY_SECONDS) -> DatabaseLocation:
    """The location of DATABASE_URL; a relative sqlite:/// path is relative to `home`."""
    if isinstance(url, ServerUrl):
        return PostgresServer(url, busy_seconds)
    return SqliteFile(home / url.removeprefix(SQLITE), busy_seconds)


def opened_where() -> DatabaseLocation:
    """The location of the open database."""
    opened = database.obj
    if isinstance(opened, Database):
        return SqliteFile(Path(opened.database), opened.timeout)
    return PostgresServer(opened.url, opened.lock_seconds)


def close_database() -> None:
    if database.obj is not None and not database.is_closed():
        database.close()


def _use(opened: "OpenDatabase") -> None:
    close_database()
    database.initialize(opened)


def _name_unless_taken(part: Path, to: Path) -> None:
    """Give a complete file its name, unless another run was faster. Some file systems have no hard links."""
    try:
        os.link(part, to)
    except FileExistsError:
        pass
    except OSError:
        if not os.path.lexists(to):
            os.rename(part, to)


def _discard(part: Path) -> None:
    for ending in ("", "-journal", *COMPANIONS):
        part.with_name(part.name + ending).unlink(missing_ok=True)
