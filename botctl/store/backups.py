"""Backups of the database: one before each migration and one a day, kept for seven days."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from botctl.domain.candles import from_unix
from botctl.domain.errors import BotError, Refused
from botctl.store.location import DatabaseLocation
from botctl.store.sqlite import explain

RETENTION = timedelta(days=7)
FOLDER = "backups"


def back_up_daily(where: DatabaseLocation, database: Path, now: datetime) -> Path | None:
    """Back up the database into the folder beside it, once a day; returns None when today's backup exists.

    `database` is its file, or for one on a server the file that it would be. Backups older than seven days are deleted
    once the new one is complete. Raises ConfigError when the database is damaged, BotError when the disk fails.
    """
    folder, today = database.with_name(FOLDER), now.astimezone(UTC).date()
    copy = folder / f"{database.stem}-{today}{database.suffix}"
    with _errors_explained(where, f"no copy of {where} was made", f"check {folder}"):
        if copy.exists():
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_unfinished(database)
        where.back_up(copy, must_be_intact=True)
        for old in _backups_before(database, today - RETENTION):
            old.unlink(missing_ok=True)
    return copy


def back_up_to(where: DatabaseLocation, to: Path) -> None:
    """Back up the database into the new file `to`. Raises Refused when it exists, else as `back_up_daily`."""
    if os.path.lexists(to):
        raise Refused(f"{to} already exists", hint="name another file")
    with _errors_explained(where, f"no copy was made: {to}", "check the folder and the disk"):
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        where.back_up(to, must_be_intact=True)


def newest_backup(database: Path) -> Path | None:
    """The newest daily backup of a database, if there is one."""
    folder = database.with_name(FOLDER)
    daily = _daily_name(database)
    names = sorted(file.name for file in folder.iterdir() if daily.fullmatch(file.name)) if folder.is_dir() else []
    return folder / names[-1] if names else None


def _daily_name(database: Path) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(database.stem)}-(\d{{4}}-\d{{2}}-\d{{2}}){re.escape(database.suffix)}")


@contextmanager
def _errors_explained(where: DatabaseLocation, problem: str, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BotError(f"{problem}: {error.strerror}", hint=hint) from error
    except sqlite3.Error as error:
        failed = explain(error, where)
        raise type(failed)(f"no copy was made: {failed.message}", hint=failed.hint) from error


def _backups_before(database: Path, day: date) -> Iterator[Path]:
    """The backups from before `day`. Only files with a backup's name are considered."""
    daily = _daily_name(database)
    for file in database.with_name(FOLDER).iterdir():
        if (match := daily.fullmatch(file.name)) and (made := _parse_day(match[1])) and made < day:
            yield file
    before_migration = re.compile(rf"{re.escape(database.name)}\.v\d+\.backup")
    for file in database.parent.iterdir():
        if before_migration.fullmatch(file.name) and from_unix(file.stat().st_mtime).date() < day:
            yield file


def _parse_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _delete_unfinished(database: Path) -> None:
    """Delete the unfinished backups of killed runs. If its process is alive another run is writing it."""
    part = re.compile(rf"{re.escape(database.stem)}[-.].*\.(\d+)\.part(-journal|-wal|-shm)?")
    for folder in (database.with_name(FOLDER), database.parent):
        for file in folder.iterdir():
            if (match := part.fullmatch(file.name)) and not _is_running(int(match[1])):
                file.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
