"""Replaces a missing or damaged database: recover works on a fresh one, which takes its place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import ConfigError
from botctl.store.database import open_database
from botctl.store.integrity import damaged_name, move_damaged
from botctl.store.location import DatabaseLocation, SqliteFile, close_database


@dataclass(frozen=True)
class Damage:
    complaint: str
    """SQLite's own message."""
    moved_to: Path
    """Where the damaged file goes when it is replaced."""


def missing_database(mode: Mode, location: object) -> ConfigError:
    """Why recover can't start without a database, and what to do instead."""
    rebuild = "run `botctl init`, then `botctl recover --apply`"
    hint = rebuild if mode is Mode.LIVE else "restore a backup, or run `botctl init` to start over"
    return ConfigError(f"there is no {mode} database at {location}", hint=hint)


def find_damage(database: DatabaseLocation, mode: Mode, now: datetime) -> Damage | None:
    """What is wrong with the file; None for a server. Raises ConfigError if it can't be rebuilt, Busy if locked."""
    complaint = database.find_damage()
    if complaint is None or database.file is None:
        return None
    if mode is not Mode.LIVE:
        raise ConfigError(
            f"{database} is damaged ({complaint}), and the paper broker has no other records",
            hint="restore a backup, or move it away and run `botctl init` to start over",
        )
    return Damage(complaint, damaged_name(database.file, now))


@contextmanager
def open_replacement(path: Path, mode: Mode, damage: Damage, *, apply: bool) -> Iterator[None]:
    """A fresh database during the block; with `apply` it then replaces the damaged one. Needs the run's lock."""
    with _temporary_folder(path if apply else None) as folder:
        fresh = folder / path.name
        open_database(SqliteFile(fresh), mode, create=True)
        try:
            yield
        finally:
            close_database()
        if apply:
            move_damaged(path, damage.moved_to)
            os.replace(fresh, path)


@contextmanager
def _temporary_folder(beside: Path | None) -> Iterator[Path]:
    """A folder on the same disk as `beside`, or anywhere."""
    if beside is None:
        with TemporaryDirectory(prefix="botctl-recover-") as name:
            yield Path(name)
        return
    folder = beside.with_name(f"{beside.name}.rebuild")
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed run
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
