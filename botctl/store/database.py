"""Opens the one database of a run, stamped with its mode, durable, and readable by its owner alone."""

import os
from contextlib import suppress
from pathlib import Path

from botctl.domain.errors import ConfigError, WrongDatabase
from botctl.domain.settings import Mode
from botctl.store.door import DATABASE_ERRORS as DATABASE_ERRORS
from botctl.store.door import Database
from botctl.store.door import explain as explain
from botctl.store.migrations import bring_up_to_date, create_schema, load_stamp
from botctl.store.models import database

BUSY_SECONDS = 10
"""How long a statement waits for another process to finish writing."""


def database_path(url: str, home: Path) -> Path:
    """The file that a sqlite:/// URL names; a relative one lies under `home`."""
    return home / url.removeprefix("sqlite:///")


def open_database(path: Path, mode: Mode, *, create: bool, durable: bool = True) -> None:
    """Make `path` this process's database.

    With `create` a missing one is made, file mode 0600. Without `durable` a power cut may lose it (the demo's own).
    Raises ConfigError when it is missing, of another mode, from a newer botctl, or can't be opened; Busy when another
    process keeps it locked.
    """
    if not create and not path.exists():
        raise WrongDatabase(
            f"there is no {mode} database at {path}",
            hint="start botctl in its home (or set BOTCTL_HOME), or run `botctl init` to make one",
        )
    try:
        _make_private_file(path)
        pragmas = {"journal_mode": "wal", "synchronous": "full" if durable else "off", "foreign_keys": 1}
        database.initialize(Database(str(path), pragmas=pragmas, timeout=BUSY_SECONDS))
        database.connect()
        stamp = load_stamp()
        if stamp is None:
            if not create or database.get_tables():
                raise WrongDatabase(
                    f"{path} is no botctl database",
                    hint="name another with DATABASE_URL, or run `botctl init` if it is empty",
                )
            create_schema(mode)
        elif stamp.mode != mode:
            raise WrongDatabase(
                f"{path} is a {stamp.mode} database, and BOTCTL_MODE is {mode}",
                hint="set BOTCTL_MODE or DATABASE_URL so that they match",
            )
        else:
            bring_up_to_date(path)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the folder's owner and mode") from error
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def open_path() -> Path:
    """The file of the database that is open."""
    return Path(database.obj.database)


def close_database() -> None:
    """Let go of the file; nothing is lost without it."""
    if database.obj is not None and not database.is_closed():
        database.close()


def _make_private_file(path: Path) -> None:
    """The file must exist with mode 0600 before SQLite opens it: its -wal and -shm take their mode from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "no permission to write")
