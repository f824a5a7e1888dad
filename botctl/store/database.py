"""Opens the one database of a run, stamped with its mode, durable, and readable by its owner alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from botctl.domain.errors import ConfigError, WrongDatabase
from botctl.domain.settings import Mode
from botctl.store.location import DatabaseLocation as DatabaseLocation
from botctl.store.location import close_database as close_database
from botctl.store.location import opened_where as opened_where
from botctl.store.migrations import bring_up_to_date, create_schema, load_database_info
from botctl.store.models import database
from botctl.store.sqlite import DATABASE_ERRORS as DATABASE_ERRORS
from botctl.store.sqlite import explain as explain


@contextmanager
def run_lock(where: DatabaseLocation, wait_seconds: float) -> Iterator[None]:
    """One run at a time: hold the lock of a database, which dies with its process or its connection.

    Waits up to `wait_seconds` for another run to end, then raises Busy. Raises ConfigError or DatabaseUnreachable
    where there can be no lock.
    """
    with where.lock(wait_seconds):
        yield


def open_database(where: DatabaseLocation, mode: Mode, *, create: bool, durable: bool = True) -> None:
    """Make `where` this process's database, brought up to date.

    With `create` a missing one is made: a file with mode 0600, or the tables in an empty database of a server. Without
    `durable` a power cut may lose a file (the demo's own). Raises ConfigError when it is missing, of another mode, from
    a newer botctl, or can't be opened; Busy when another process keeps it locked; DatabaseUnreachable.
    """
    if not create and where.lacks_file():
        raise _missing(where, mode)
    try:
        where.connect(durable=durable)
        _check_database_info(where, mode, create=create)
    except OSError as error:
        hint = "check the folder's owner and mode"
        raise ConfigError(f"can't write {where}: {error.strerror}", hint=hint) from error
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error


def _check_database_info(where: DatabaseLocation, mode: Mode, *, create: bool) -> None:
    """What is connected must be a botctl database of this mode, and of this schema or an older one."""
    info = load_database_info()
    if info is None:
        there = database.get_tables()
        if not create and not there and where.file is None:
            raise _missing(where, mode)
        if not create or there:
            hint = "name another with DATABASE_URL, or run `botctl init` if it is empty"
            raise WrongDatabase(f"{where} is no botctl database", hint=hint)
        create_schema(mode)
    elif info.mode != mode:
        raise WrongDatabase(
            f"{where} is a {info.mode} database, and BOTCTL_MODE is {mode}",
            hint="set BOTCTL_MODE or DATABASE_URL so that they match",
        )
    else:
        bring_up_to_date(where)


def _missing(where: DatabaseLocation, mode: Mode) -> WrongDatabase:
    return WrongDatabase(f"there is no {mode} database at {where}", hint=where.hint_if_missing)


@contextmanager
def connected(where: DatabaseLocation) -> Iterator[None]:
    """A database as it is, not yet believed: neither made, nor brought up to date. Raises as `open_database`."""
    was_open = where.is_open()  # under the run's lock that of a server is, and its connection holds the lock
    try:
        if where.lacks_file():
            raise WrongDatabase(f"there is no database at {where}", hint="run `botctl init` to make one")
        where.connect_as_it_is()
        yield
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error
    finally:
        if not was_open:
            close_database()


def complaint_of_open() -> str | None:
    """What SQLite finds wrong with the open file; None when it is sound. A server looks after its files itself."""
    return opened_where().find_damage()
