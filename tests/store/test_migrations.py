"""From one schema to the next: after a backup, in one transaction, or not at all."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import ConfigError
from botctl.store import key_value
from botctl.store.database import close_database, connected, open_database
from botctl.store.location import DatabaseLocation, PostgresServer
from botctl.store.models import DatabaseInfo, database
from botctl.store.schema.migrations import SCHEMA_VERSION, STEPS, migrate_database

NEXT, AFTER_NEXT = SCHEMA_VERSION + 1, SCHEMA_VERSION + 2
"""Versions that are not there yet: the steps to them are invented here."""

DIES_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from botctl.domain.configuration.database_url import parse_database_url
from botctl.domain.configuration.settings import Mode
from botctl.store.database import open_database
from botctl.store.location import find_location
from botctl.store.schema.migrations import SCHEMA_VERSION, migrate_database
from botctl.store.models import database

def step():
    database.execute_sql("ALTER TABLE trade ADD COLUMN colour TEXT")
    database.execute_sql("DELETE FROM memory")
    os.kill(os.getpid(), signal.SIGKILL)

where = find_location(parse_database_url(sys.argv[1]), Path())
open_database(where, Mode.DEMO, create=False)
migrate_database(where, steps={SCHEMA_VERSION: step}, version=SCHEMA_VERSION + 1)
"""

TAKES_ITS_TIME = (
    DIES_IN_THE_MIDDLE.replace("import os, signal, sys", "import sys, time")
    .replace("os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(0.5)")
    .replace("migrate_database(where", "print('open', flush=True)\nsys.stdin.readline()\nmigrate_database(where")
)
"""It migrates when it is told to: what opens a database that another has migrated already refuses it as a newer one."""


@pytest.fixture
def kept(opened: DatabaseLocation) -> DatabaseLocation:
    """A database of this version with something in it."""
    key_value.save("kept", "since long ago")
    return opened


def add_colour() -> None:
    database.execute_sql("ALTER TABLE trade ADD COLUMN colour TEXT DEFAULT 'grey'")


def add_weight() -> None:
    database.execute_sql("ALTER TABLE trade ADD COLUMN weight TEXT")


def fail() -> None:
    add_weight()
    raise RuntimeError("the step failed")


def columns() -> set[str]:
    return {column.name for column in database.get_columns("trade")}


def backup_of(path: Path, version: int = SCHEMA_VERSION) -> Path:
    return path.with_name(f"{path.name}.v{version}.backup")


def is_backed_up(where: DatabaseLocation) -> bool:
    if where.file:
        return backup_of(where.file).exists()
    kept_aside = f"SELECT 1 FROM pg_namespace WHERE nspname = 'botctl_v{SCHEMA_VERSION}'"
    return database.execute_sql(kept_aside).fetchone() is not None


def address(where: DatabaseLocation) -> str:
    return where.url.reveal() if isinstance(where, PostgresServer) else f"sqlite:///{where}"


def test_an_older_database_is_led_to_the_new_version(kept: DatabaseLocation) -> None:
    migrate_database(kept, steps={SCHEMA_VERSION: add_colour}, version=NEXT)

    assert DatabaseInfo.get().schema_version == NEXT
    assert "colour" in columns()
    assert key_value.load("kept") is not None


def test_several_versions_are_one_journey(kept: DatabaseLocation) -> None:
    migrate_database(kept, steps={SCHEMA_VERSION: add_colour, NEXT: add_weight}, version=AFTER_NEXT)

    assert DatabaseInfo.get().schema_version == AFTER_NEXT
    assert {"colour", "weight"} <= columns()


def test_the_backup_is_the_old_database_and_private(kept: DatabaseLocation) -> None:
    migrate_database(kept, steps={SCHEMA_VERSION: add_colour}, version=NEXT)

    if kept.file is None:
        aside = database.execute_sql(f"SELECT value FROM botctl_v{SCHEMA_VERSION}.memory WHERE key = 'kept'")
        assert aside.fetchall() == [("since long ago",)]
        return
    backup = backup_of(kept.file)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT schema_version FROM stamp").fetchall() == [(SCHEMA_VERSION,)]
        assert connection.execute("SELECT value FROM memory WHERE key = 'kept'").fetchall() == [("since long ago",)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_database_of_this_version_is_not_touched_nor_backed_up(kept: DatabaseLocation) -> None:
    migrate_database(kept, steps={SCHEMA_VERSION: fail}, version=SCHEMA_VERSION)

    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert not is_backed_up(kept)


def test_a_newer_database_is_refused(kept: DatabaseLocation) -> None:
    with pytest.raises(ConfigError, match=f"schema {SCHEMA_VERSION}, newer than this botctl's {SCHEMA_VERSION - 1}"):
        migrate_database(kept, steps={}, version=SCHEMA_VERSION - 1)

    assert not is_backed_up(kept)


def test_a_step_that_fails_leaves_the_old_version_whole(kept: DatabaseLocation) -> None:
    with pytest.raises(RuntimeError, match="the step failed"):
        migrate_database(kept, steps={SCHEMA_VERSION: add_colour, NEXT: fail}, version=AFTER_NEXT)

    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert not {"colour", "weight"} & columns()
    assert key_value.load("kept") is not None


def test_a_run_killed_in_the_middle_leaves_the_old_version_whole(kept: DatabaseLocation) -> None:
    close_database()

    died = subprocess.run([sys.executable, "-c", DIES_IN_THE_MIDDLE, address(kept)], capture_output=True, text=True)

    assert died.returncode == -9, died.stderr
    open_database(kept, Mode.DEMO, create=False)
    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert "colour" not in columns()
    assert key_value.load("kept") is not None
    assert is_backed_up(kept) == (kept.file is not None)  # on a server it is of the same transaction


def test_after_a_crash_the_next_run_completes_the_journey(kept: DatabaseLocation) -> None:
    close_database()
    subprocess.run([sys.executable, "-c", DIES_IN_THE_MIDDLE, address(kept)], capture_output=True)
    open_database(kept, Mode.DEMO, create=False)

    migrate_database(kept, steps={SCHEMA_VERSION: add_colour}, version=NEXT)

    assert DatabaseInfo.get().schema_version == NEXT
    assert "colour" in columns()


def test_runs_that_start_at_once_migrate_once(kept: DatabaseLocation) -> None:
    """Each has seen the old version; whoever may write second finds the new one, and does nothing."""
    close_database()
    waiting, go = os.pipe()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TAKES_ITS_TIME, address(kept)],
            stdin=waiting, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    opened = [run.stdout.readline() for run in runs if run.stdout]

    os.close(go)
    said = [run.communicate(timeout=60)[1] for run in runs]

    os.close(waiting)
    assert opened == ["open\n"] * 3, said
    assert [run.returncode for run in runs] == [0, 0, 0], said
    with connected(kept):
        assert database.execute_sql("SELECT schema_version FROM stamp").fetchall() == [(NEXT,)]
        assert "colour" in columns()


def test_every_version_up_to_this_one_has_its_step() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))
