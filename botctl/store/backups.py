"""Copies of the database: one before each migration, one a day, kept for seven days."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from botctl.domain.errors import BotError, Refused
from botctl.domain.unix_time import from_unix
from botctl.store.door import damaged, explain
from botctl.store.models import on_server

KEPT_FOR = timedelta(days=7)
FOLDER = "backups"
"""Beside the database."""


def back_up_daily(database: Path, now: datetime) -> Path | None:
    """The day's first run leaves a copy of `database` in the folder beside it; None when today's is there already.

    Copies older than seven days go once the new one is whole and sound. Raises ConfigError when the database is
    damaged, and BotError when the disk refuses; then every older copy stays.
    """
    folder, today = database.with_name(FOLDER), now.astimezone(UTC).date()
    copy = folder / f"{database.stem}-{today}{database.suffix}"
    try:
        if copy.exists():
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_parts(database)
        _back_up(database, copy, must_be_sound=True)
        for old in _made_before(database, today - KEPT_FOR):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise BotError(f"no copy of {database} was made: {error.strerror}", hint=f"check {folder}") from error
    except sqlite3.Error as error:
        failed = explain(error, database)
        raise type(failed)(f"no copy was made: {failed.message}", hint=failed.hint) from error
    return copy


def back_up_to(database: Path, to: Path) -> None:
    """A copy of the open database in the new file `to`. Raises Refused when that is there, and as `back_up_daily`."""
    if os.path.lexists(to):
        raise Refused(f"{to} is there already", hint="name another file")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _back_up(database, to, must_be_sound=True)
    except OSError as error:
        raise BotError(f"no copy was made: {to}: {error.strerror}", hint="check the folder and the disk") from error
    except sqlite3.Error as error:
        failed = explain(error, database)
        raise type(failed)(f"no copy was made: {failed.message}", hint=failed.hint) from error


def back_up_before_migration(database: Path, version: int) -> None:
    """A copy beside the database as it was at schema `version`. One that is there already is from before, and stays.

    A damaged database is copied as it is: its stops need the migration more than they need a sound copy.
    """
    _back_up(database, database.with_name(f"{database.name}.v{version}.backup"), must_be_sound=False)


def _back_up(database: Path, to: Path, *, must_be_sound: bool) -> None:
    """A consistent copy of a database in use: owner-only, and whole or not there. One that is there already stays.

    SQLite's backup API copies what was committed last, and in WAL mode keeps nobody from writing meanwhile. The rows
    of a server are copied into a SQLite file, as they are at one moment.
    """
    part = to.with_name(f"{to.name}.{os.getpid()}.part")
    _discard(part)  # a killed run may have had this process's number
    part.touch(mode=0o600)
    try:
        if on_server():
            from botctl.store.copies import copy_into_file

            copy_into_file(part)
        with closing(sqlite3.connect(part)) as target:
            if not on_server():
                with closing(sqlite3.connect(database)) as source:
                    source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            [complaint] = target.execute("PRAGMA integrity_check(1)").fetchone()
        if must_be_sound and complaint != "ok":
            raise damaged(database, " ".join(str(complaint).split()))
        _to_disk(part)
        with suppress(FileExistsError):
            os.link(part, to)
        _to_disk(to.parent)
    finally:
        _discard(part)


def _made_before(database: Path, day: date) -> Iterator[Path]:
    """Our own copies from before `day`, told by their names alone: nobody else's file is touched."""
    ours = re.compile(rf"{re.escape(database.stem)}-(\d{{4}}-\d{{2}}-\d{{2}}){re.escape(database.suffix)}")
    for file in database.with_name(FOLDER).iterdir():
        if (match := ours.fullmatch(file.name)) and (made := _day(match[1])) and made < day:
            yield file
    before_migration = re.compile(rf"{re.escape(database.name)}\.v\d+\.backup")
    for file in database.parent.iterdir():
        if before_migration.fullmatch(file.name) and _written_on(file) < day:
            yield file


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _written_on(file: Path) -> date:
    return from_unix(file.stat().st_mtime).date()


def _clear_parts(database: Path) -> None:
    """What killed runs left half-made. A part whose process lives is another run's at work."""
    part = re.compile(rf"{re.escape(database.stem)}[-.].*\.(\d+)\.part(-journal|-wal|-shm)?")
    for folder in (database.with_name(FOLDER), database.parent):
        for file in folder.iterdir():
            if (match := part.fullmatch(file.name)) and not _lives(int(match[1])):
                file.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _discard(part: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        part.with_name(part.name + ending).unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Until a file and the folder that names it are synced, a power cut may take them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
