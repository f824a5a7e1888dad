"""Opens the database of a run, and checks its mode and schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import ConfigError, WrongDatabase
from botctl.store.location import DatabaseLocation as DatabaseLocation
from botctl.store.location import close_database as close_database
from botctl.store.location import opened_where as opened_where
from botctl.store.models import DatabaseInfo, database
from botctl.store.schema.migrations import SCHEMA_VERSION, create_schema, load_database_info, migrate_database
from botctl.store.sqlite import DATABASE_ERRORS as DATABASE_ERRORS
from botctl.store.sqlite import explain as explain
from botctl.store.upkeep.daily_check import require_check


def open_database(where: DatabaseLocation, mode: Mode, *, create: bool, durable: bool = True) -> None:
    """Open `where` as this process's database, and migrate it.

    With `create` a missing one is created: a file with mode 0600, or the tables in an empty database of a server.
    Without `durable` a power cut may lose the file. Raises ConfigError when it is missing, of another mode, from a
    newer botctl, or can't be opened; Busy when another process keeps it locked; DatabaseUnreachable.
    """
    if not create and where.lacks_file():
        raise _missing(where, mode)
    try:
        where.connect(durable=durable)
        _check_database_info(where, mode, create=create)
        if getattr(database.obj, "interrupted", False):
            require_check()
    except OSError as error:
        raise ConfigError(
            f"can't write {where}: {error.strerror}", hint="check the folder's owner and permissions"
        ) from error
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error


@contextmanager
def open_to_read(where: DatabaseLocation, mode: Mode) -> Iterator[None]:
    """Open `where` for the length of the block without creating, migrating or writing anything.

    Raises WrongDatabase when it is missing, of another mode or of another schema; Busy, DatabaseUnreachable.
    """
    if where.lacks_file():
        raise _missing(where, mode)
    try:
        where.connect_read_only()
        info = load_database_info()
        if info is None:
            raise _missing(where, mode)
        _check_mode(where, info, mode)
        if info.schema_version != SCHEMA_VERSION:
            problem = f"{where} has schema {info.schema_version}, and this botctl reads {SCHEMA_VERSION}"
            older = info.schema_version < SCHEMA_VERSION
            raise WrongDatabase(problem, hint="run `botctl db migrate`" if older else "update botctl")
        yield
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error
    finally:
        close_database()


def _check_database_info(where: DatabaseLocation, mode: Mode, *, create: bool) -> None:
    """The open database must be of this mode, and of this schema or an older one."""
    info = load_database_info()
    if info is None:
        tables = database.get_tables()
        if not create and not tables and where.file is None:
            raise _missing(where, mode)
        if not create or tables:
            hint = "name another with DATABASE_URL, or run `botctl init` if it is empty"
            raise WrongDatabase(f"{where} is not a botctl database", hint=hint)
        create_schema(mode)
    else:
        _check_mode(where, info, mode)
        migrate_database(where)


def _check_mode(where: DatabaseLocation, info: DatabaseInfo, mode: Mode) -> None:
    if info.mode != mode:
        hint = "set BOTCTL_MODE or DATABASE_URL so that they match"
        raise WrongDatabase(f"{where} is a {info.mode} database, and BOTCTL_MODE is {mode}", hint=hint)


def _missing(where: DatabaseLocation, mode: Mode) -> WrongDatabase:
    return WrongDatabase(f"there is no {mode} database at {where}", hint=where.hint_if_missing)


@contextmanager
def connected(where: DatabaseLocation) -> Iterator[None]:
    """Open a database without creating, migrating or checking it. Raises as `open_database`."""
    was_open = where.is_open()  # the connection to a server holds the run's lock
    try:
        if where.lacks_file():
            raise WrongDatabase(f"there is no database at {where}", hint="run `botctl init` to create one")
        where.connect_unchanged()
        yield
    except DATABASE_ERRORS as error:
        raise explain(error, where) from error
    finally:
        if not was_open:
            close_database()
