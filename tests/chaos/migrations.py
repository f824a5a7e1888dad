"""A crash or a full disk in the middle of a migration: the database is of the old version or of the new one, whole
either way, and the next run completes the journey.

The journey leads over every step there is, and over one more that only exists here.
"""

import json
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from botctl.domain.configuration.settings import Mode
from botctl.store.database import open_database
from botctl.store.location import SqliteFile
from botctl.store.models import database
from botctl.store.schema.migrations import SCHEMA_VERSION, migrate_database
from tests.bot_runner import PROJECT
from tests.chaos import killer
from tests.chaos.campaign import SEPARATOR
from tests.chaos.disasters import FRAME, swollen
from tests.chaos.processes import End
from tests.chaos.scenes import Stage, guard_is_awake, recover
from tests.chaos.world import World
from tests.databases import DOWNGRADES

OLDEST, NEWEST = 1, SCHEMA_VERSION + 1
SCENE = "a stop that is hit"
"""The database of a bot with a position, which must be sold at once when all is well again."""
BOUNDARIES = {"statement": "statements", "before": "commits", "after": "commits"}
"""Where a migration is ended: before a statement, before a commit, after one; and what is counted of it."""


def paint_trades() -> None:
    """The step that only exists here."""
    database.execute_sql("ALTER TABLE trade ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'")
    database.execute_sql("UPDATE trade SET colour = 'red'")
    database.execute_sql("CREATE TABLE brush (id INTEGER PRIMARY KEY)")


def wash_trades(connection: sqlite3.Connection) -> None:
    """Take that step back: for botctl this is a database of today again."""
    connection.execute("ALTER TABLE trade DROP COLUMN colour")
    connection.execute("DROP TABLE brush")
    connection.execute("UPDATE stamp SET schema_version = ?", (SCHEMA_VERSION,))


def age(world: World) -> None:
    """Turn the world's database into one of the oldest version."""
    with world.connect() as connection:
        for version in range(SCHEMA_VERSION, OLDEST, -1):
            for statement in DOWNGRADES[version]:
                connection.execute(statement)
        connection.execute("UPDATE stamp SET schema_version = ?", (OLDEST,))


def journey(world: World, end: End | None = None, most_bytes: int | None = None) -> tuple[int, dict[str, int], str]:
    """Bring the database up to date in a process of its own: its exit code, what it counted, and what it said."""
    wanted = {"path": str(world.database), "end": asdict(end or End()), "most_bytes": most_bytes}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.chaos.migrations", json.dumps(wanted)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


class Migrations:
    """One migration, ended or starved in the middle."""

    name = "migrations"
    about = "a migration killed at one boundary, or on a full disk"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every statement, every commit, every write."""
        world = stage.set(SCENE)
        try:
            age(world)
            with swollen(world) as size:
                _, counts, _ = journey(world)
                counts["frames"] = (world.log.stat().st_size - size) // FRAME
        finally:
            world.close()
        for boundary, counted in {**BOUNDARIES, "full disk": "frames"}.items():
            for number in range(1, counts[counted] + 1):
                yield SEPARATOR.join((self.name, boundary, str(number)))

    def play(self, stage: Stage, trial: str) -> int:
        _, boundary, number = trial.split(SEPARATOR)
        world = stage.set(SCENE)
        try:
            age(world)
            if boundary == "full disk":
                with swollen(world) as size:
                    code, _, said = journey(world, most_bytes=size + (int(number) - 1) * FRAME + FRAME // 2)
                assert code != 0, "every write was possible"
                assert "disk" in said.splitlines()[-1], said
            else:
                code, _, said = journey(world, End(boundary, int(number)))
                assert code == -signal.SIGKILL, f"it was not killed: {said}"
            check_whole(world)
            if version_of(world.database) != NEWEST:  # or there is nothing left to do
                code, _, said = journey(world)
                assert code == 0, said
            assert version_of(world.database) == NEWEST
            with world.connect() as connection:
                wash_trades(connection)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


def check_whole(world: World) -> None:
    """The database is of one version, and so is each copy that was made before; of copies nothing is half made."""
    assert version_of(world.database) in range(OLDEST, NEWEST + 1)
    copies = list(world.database.parent.glob("*.backup"))
    assert [copy for copy in copies if f".v{version_of(copy)}." not in copy.name] == []


def version_of(path: Path) -> int:
    """The version that a sound database is stamped with; its tables are those of that version."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [(version,)] = connection.execute("SELECT schema_version FROM stamp").fetchall()
        columns = {row[1] for row in connection.execute("PRAGMA table_info(trade)")}
    assert ("colour" in columns) == (version == NEWEST), f"half a step: version {version} has {sorted(columns)}"
    return int(version)


def migrate(wanted: dict[str, Any]) -> None:
    """What the process of its own does."""
    path, countdown = Path(wanted["path"]), killer.arm(**wanted["end"])
    if wanted["most_bytes"] is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted["most_bytes"], hard))
    where = SqliteFile(path)
    open_database(where, Mode.LIVE, create=False)
    migrate_database(where, steps={SCHEMA_VERSION: paint_trades}, version=NEWEST)
    print(json.dumps({"commits": countdown.commits, "statements": countdown.statements}))


if __name__ == "__main__":
    migrate(json.loads(sys.argv[1]))
