"""Backups of the database: one before each migration and one a day, of which the newest seven are kept."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from botctl.domain.candles import from_unix
from botctl.domain.errors import BotError, Refused
from botctl.links import refuse_links
from botctl.store import key_value
from botctl.store.location import DatabaseLocation
from botctl.store.sqlite import explain

KEPT = 7
"""The newest copies stay, whatever the clock says: one that was wrong once must not delete them all."""
FOLDER = "backups"
TRIED_KEY = "backup.tried"
FAILED_KEY = "backup.failed"
SPARE_BYTES = 16 * 2**20
"""Left free beside a copy, so that the database itself can grow."""


@dataclass(frozen=True)
class Backup:
    file: Path
    made: date


def is_backup_due(now: datetime) -> bool:
    """Whether nothing has tried to make today's copy. It counts as tried from now on. Needs the open database."""
    today, tried = str(now.astimezone(UTC).date()), key_value.load(TRIED_KEY)
    if tried is not None and tried[0] == today:
        return False
    key_value.save(TRIED_KEY, today)
    return True


def load_backup_failure() -> str:
    """Why the last daily copy failed; empty when it did not."""
    saved = key_value.load(FAILED_KEY)
    return saved[0] if saved else ""


def save_backup_failure(why: str) -> None:
    if why != load_backup_failure():
        key_value.save(FAILED_KEY, why)


def back_up_daily(where: DatabaseLocation, database: Path, now: datetime) -> Path | None:
    """Back up the database into the folder beside it, once a day; returns None when today's backup exists.

    `database` is its file, or for one on a server the file that it would be. All but the newest seven are deleted once
    the new one is complete. Raises ConfigError when the database is damaged, BotError when the disk fails or is full.
    """
    folder, today = database.with_name(FOLDER), now.astimezone(UTC).date()
    copy = folder / f"{database.stem}-{today}{database.suffix}"
    with _errors_explained(where, f"no copy of {where} was made", f"check {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_links(copy)
        if copy.exists():
            return None
        _delete_unfinished(database)
        _check_room(where, folder)
        where.back_up(copy, must_be_intact=True)
        for old in _surplus(list(_backups(database)), today):
            if old.file != copy:
                old.file.unlink(missing_ok=True)
    return copy


def _surplus(backups: Sequence[Backup], today: date) -> list[Backup]:
    """Those that are not kept. A day in the future is of a wrong clock, now or then: such copies take no other's
    place."""
    newest_first = sorted(backups, key=lambda backup: (backup.made, backup.file.name), reverse=True)
    ahead = [each for each in newest_first if each.made > today]
    return newest_first[len(ahead) + KEPT :] + ahead[KEPT:]


def back_up_to(where: DatabaseLocation, to: Path) -> None:
    """Back up the database into the new file `to`. Raises Refused when it exists, else as `back_up_daily`."""
    if os.path.lexists(to):
        raise Refused(f"{to} already exists", hint="name another file")
    with _errors_explained(where, f"no copy was made: {to}", "check the folder and the disk"):
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_links(to)
        where.back_up(to, must_be_intact=True)


def newest_backup(database: Path) -> Path | None:
    """The newest daily backup of a database, if there is one."""
    folder, today = database.with_name(FOLDER), datetime.now(UTC).date()
    if not folder.is_dir():
        return None
    daily = [each for each in _backups(database) if each.file.parent == folder]
    return max(daily, key=lambda each: (each.made <= today, each.made)).file if daily else None


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


def _check_room(where: DatabaseLocation, folder: Path) -> None:
    """Raises BotError when a copy would not fit: half of one would leave no room for the database either."""
    if where.file is None:
        return
    needed, free = where.file.stat().st_size + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        problem = (
            f"no copy of {where} was made: it needs {needed / 1e6:.0f} MB, but {folder} has {free / 1e6:.0f} MB free"
        )
        raise BotError(problem, hint="free some disk space; tomorrow's first tick tries again")


def _backups(database: Path) -> Iterator[Backup]:
    """The backups of this database. Only files with a backup's name are considered."""
    daily = _daily_name(database)
    for file in database.with_name(FOLDER).iterdir():
        if (match := daily.fullmatch(file.name)) and (made := _parse_day(match[1])):
            yield Backup(file, made)
    before_migration = re.compile(rf"{re.escape(database.name)}\.v\d+\.backup")
    for file in database.parent.iterdir():
        if before_migration.fullmatch(file.name):
            yield Backup(file, from_unix(file.stat().st_mtime).date())


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
