"""Opens the one database of a run, stamped with its mode, durable, and readable by its owner alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from botctl.domain.database_url import SQLITE, ServerUrl
from botctl.domain.errors import ConfigError, WrongDatabase
from botctl.domain.settings import Mode
from botctl.store.door import DATABASE_ERRORS as DATABASE_ERRORS
from botctl.store.door import Database
from botctl.store.door import explain as explain
from botctl.store.integrity import check_integrity
from botctl.store.migrations import bring_up_to_date, create_schema, load_stamp
from botctl.store.models import RULED, database

if TYPE_CHECKING:
    from botctl.store.server import ServerDatabase

BUSY_SECONDS = 10
"""How long a statement waits for another process to finish writing."""


Where = Path | ServerUrl
"""Where a database is: a SQLite file, or on a server."""


def database_path(url: str, home: Path) -> Path:
    """The file that a sqlite:/// URL names; a relative one lies under `home`."""
    return home / url.removeprefix(SQLITE)


def open_database(where: Where, mode: Mode, *, create: bool, durable: bool = True) -> None:
    """Make `where` this process's database, brought up to date.

    With `create` a missing one is made: a file with mode 0600, or the tables in an empty database of a server. Without
    `durable` a power cut may lose a file (the demo's own). Raises ConfigError when it is missing, of another mode, from
    a newer botctl, or can't be opened; Busy when another process keeps it locked; DatabaseUnreachable.
    """
    if isinstance(where, ServerUrl):
        connect_to_server(where)
        _open_stamped(where, mode, create=create)
        return
    path = where
    if not create and not path.exists():
        raise WrongDatabase(
            f"there is no {mode} database at {path}",
            hint="start botctl in its home (or set BOTCTL_HOME), or run `botctl init` to make one",
        )
    try:
        make_private_file(path)
        pragmas = {"journal_mode": "wal", "synchronous": "full" if durable else "off", "foreign_keys": 1}
        database.initialize(Database(str(path), pragmas=pragmas, timeout=BUSY_SECONDS))
        database.connect()
        _open_stamped(path, mode, create=create)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the folder's owner and mode") from error
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def connect_to_server(url: ServerUrl) -> "ServerDatabase":
    """The one connection of this process to its server; made where there is none yet.

    Raises ConfigError, DatabaseUnreachable.
    """
    from botctl.store.server import ServerDatabase

    opened = database.obj
    if isinstance(opened, ServerDatabase) and opened.url == url and not opened.is_closed():
        return opened
    close_database()
    server = server_database(url)
    database.initialize(server)
    server.open()
    return server


def server_database(url: ServerUrl) -> "ServerDatabase":
    """A database on a server, not connected yet."""
    from botctl.store.server import ServerDatabase

    return ServerDatabase(url, tuple(table._meta.table_name for table in RULED))


def _open_stamped(where: Where, mode: Mode, *, create: bool) -> None:
    """What is connected must be a botctl database of this mode, and of this schema or an older one."""
    stamp = load_stamp()
    if stamp is None:
        there = database.get_tables()
        if not create and not there and isinstance(where, ServerUrl):
            raise WrongDatabase(
                f"there is no {mode} database at {where}", hint="correct DATABASE_URL, or run `botctl init` to make one"
            )
        if not create or there:
            hint = "name another with DATABASE_URL, or run `botctl init` if it is empty"
            raise WrongDatabase(f"{where} is no botctl database", hint=hint)
        create_schema(mode)
    elif stamp.mode != mode:
        raise WrongDatabase(
            f"{where} is a {stamp.mode} database, and BOTCTL_MODE is {mode}",
            hint="set BOTCTL_MODE or DATABASE_URL so that they match",
        )
    else:
        bring_up_to_date(where)


@contextmanager
def connected(where: Where) -> Iterator[None]:
    """A database as it is, not yet believed: neither made, nor brought up to date. Raises as `open_database`."""
    try:
        if isinstance(where, ServerUrl):
            connect_to_server(where)
        elif where.exists():
            database.initialize(Database(str(where), timeout=BUSY_SECONDS))
            database.connect()
        else:
            raise WrongDatabase(f"there is no database at {where}", hint="run `botctl init` to make one")
        yield
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error
    finally:
        if isinstance(where, Path):  # a server's connection holds the run's lock
            close_database()


def opened_where() -> Where:
    """The database that is open."""
    return Path(database.obj.database) if isinstance(database.obj, Database) else database.obj.url


def complaint_of_open() -> str:
    """What SQLite finds wrong with the open file; empty when it is sound. A server looks after its files itself."""
    where = opened_where()
    return check_integrity(where) if isinstance(where, Path) else ""


def close_database() -> None:
    """Let go of it; nothing is lost without it."""
    if database.obj is not None and not database.is_closed():
        database.close()


def make_private_file(path: Path) -> None:
    """The file must exist with mode 0600 before SQLite opens it: its -wal and -shm take their mode from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "no permission to write")
