"""Copies of the database: one before each migration, one a day, kept for seven days."""

import os
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from botctl.domain.candles import from_unix
from botctl.domain.errors import BotError, Refused
from botctl.store.location import DatabaseLocation
from botctl.store.sqlite import explain

KEPT_FOR = timedelta(days=7)
FOLDER = "backups"
"""Beside the database."""


def back_up_daily(where: DatabaseLocation, database: Path, now: datetime) -> Path | None:
    """The day's first run leaves a copy of the database in the folder beside it; None when today's is there already.

    `database` is its file, or for one on a server the file that it would be.

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
        where.back_up(copy, must_be_sound=True)
        for old in _made_before(database, today - KEPT_FOR):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise BotError(f"no copy of {where} was made: {error.strerror}", hint=f"check {folder}") from error
    except sqlite3.Error as error:
        failed = explain(error, where)
        raise type(failed)(f"no copy was made: {failed.message}", hint=failed.hint) from error
    return copy


def back_up_to(where: DatabaseLocation, to: Path) -> None:
    """A copy of the database in the new file `to`. Raises Refused when that is there, and as `back_up_daily`."""
    if os.path.lexists(to):
        raise Refused(f"{to} is there already", hint="name another file")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        where.back_up(to, must_be_sound=True)
    except OSError as error:
        raise BotError(f"no copy was made: {to}: {error.strerror}", hint="check the folder and the disk") from error
    except sqlite3.Error as error:
        failed = explain(error, where)
        raise type(failed)(f"no copy was made: {failed.message}", hint=failed.hint) from error


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
