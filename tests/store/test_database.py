"""The one file that all is kept in: private, durable, stamped, and never taken for what it is not."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BotError, ConfigError
from botctl.store.database import close_database, open_database, open_to_read
from botctl.store.location import SqliteFile, find_location
from botctl.store.models import TABLES, DatabaseInfo, SystemConfig, database
from botctl.store.schema.migrations import SCHEMA_VERSION
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, files_in

HOLD_THE_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from botctl.domain.errors import BotError
from botctl.domain.configuration.settings import Mode
from botctl.store import key_value
from botctl.store.database import open_database
from botctl.store.location import SqliteFile
from botctl.store.models import database
open_database(SqliteFile(Path(sys.argv[1])), Mode.DEMO, create=False)
database.execute_sql("PRAGMA cache_size = 5")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with database.atomic("IMMEDIATE"):
        for number in range(200):
            key_value.save(str(number), 4000 * "x")
except BotError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_database_is_stamped_and_switched_on(store: Path) -> None:
    [stamp] = DatabaseInfo.select()

    assert (stamp.mode, stamp.schema_version) == ("demo", SCHEMA_VERSION)
    assert {row.key: row.value for row in SystemConfig.select()} == {
        "system_status": "ACTIVE",
        "frozen": "false",
        "buy_enabled": "true",
        "tripped_at": "",
    }
    assert set(database.get_tables()) >= {table._meta.table_name for table in TABLES}


def test_it_is_durable_and_checks_its_references(store: Path) -> None:
    pragmas = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}

    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert database.execute_sql("PRAGMA foreign_keys").fetchone()[0] == 1
    assert database.execute_sql("PRAGMA busy_timeout").fetchone()[0] == 10_000


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_every_file_of_it_is_for_the_owner_alone(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        open_database(SqliteFile(path), Mode.DEMO, create=True)
        SystemConfig.update(value="PAUSED").execute()
    finally:
        os.umask(before)

    assert {file.name: mode_of(file) for file in path.parent.iterdir()} == dict.fromkeys(
        ("demo.db", "demo.db-wal", "demo.db-shm"), 0o600
    )


def test_closing_leaves_one_file(store: Path) -> None:
    close_database()

    assert [file.name for file in store.parent.iterdir()] == ["demo.db"]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_missing_one_is_made_only_where_that_is_allowed(path: Path, mode: Mode) -> None:
    with pytest.raises(ConfigError, match=f"no {mode} database at .*demo.db"):
        open_database(SqliteFile(path), mode, create=False)

    assert not path.parent.exists()


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
@pytest.mark.parametrize("create", [True, False])
def test_another_mode_refuses_to_open_it(store: Path, mode: Mode, create: bool) -> None:
    close_database()

    with pytest.raises(ConfigError, match="is a demo database"):
        open_database(SqliteFile(store), mode, create=create)


def test_a_newer_schema_is_refused_and_left_alone(bot: BotRunner) -> None:
    bot.json("status")
    bot.execute("UPDATE stamp SET schema_version = 99")
    before, rows = files_in(bot.home), bot.rows()

    for command in ("status", "tick", "trades", "init"):
        check_error(bot.run(command), 78, "schema 99", "newer", "update botctl")

    after = files_in(bot.home)
    assert {name: after[name] for name in before} == before
    assert bot.rows() == rows


def test_an_empty_file_becomes_a_database_where_one_may_be_made(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    open_database(SqliteFile(path), Mode.DEMO, create=True)

    assert DatabaseInfo.select().count() == 1


def test_an_empty_file_is_no_live_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    with pytest.raises(ConfigError, match="not a botctl database"):
        open_database(SqliteFile(path), Mode.LIVE, create=False)


@pytest.mark.sqlite("about the file")
@pytest.mark.parametrize("content", [b"not a database, but longer than its header " * 40, bytes(range(256)) * 20])
@pytest.mark.parametrize("command", ["status", "tick", "resume", "init"])
def test_a_file_of_another_kind_is_refused_and_left_alone(bot: BotRunner, content: bytes, command: str) -> None:
    bot.database.parent.mkdir()
    bot.database.write_bytes(content)

    check_error(bot.run(command), 78, str(bot.database))

    assert bot.database.read_bytes() == content


@pytest.mark.sqlite("about the file")
def test_a_cut_off_database_is_refused(bot: BotRunner) -> None:
    bot.run("tick")
    whole = bot.database.read_bytes()
    bot.database.write_bytes(whole[: len(whole) // 3])

    run = bot.run("tick")

    assert run.exit_code != 0
    assert "Traceback" not in run.stderr
    assert str(bot.database) in run.stderr or "the database" in run.stderr


def test_the_database_of_another_program_is_left_alone(bot: BotRunner) -> None:
    bot.database.parent.mkdir()
    bot.execute("CREATE TABLE songs (id INTEGER)")

    check_error(bot.run("status"), 78, "not a botctl database")

    assert bot.rows() == {"songs": []}


@pytest.mark.sqlite("about the file")
def test_a_folder_in_its_place_is_refused(bot: BotRunner) -> None:
    bot.database.mkdir(parents=True)

    check_error(bot.run("status"), 78, str(bot.database))


def test_a_run_waits_for_another_process_to_finish_writing(store: Path) -> None:
    with held(store, 1.0):
        SystemConfig.update(value="PAUSED").where(SystemConfig.key == "system_status").execute()

    assert SystemConfig.get(SystemConfig.key == "system_status").value == "PAUSED"


@pytest.mark.waits
@pytest.mark.long
@pytest.mark.sqlite("about the file")
def test_a_database_that_stays_locked_is_busy_and_pause_still_pauses(bot: BotRunner) -> None:
    bot.json("status")
    with held(bot.database, 30):
        resume, pause = bot.spawn("resume"), bot.spawn("pause")
        said = resume.communicate(timeout=25)[1]
        pause.communicate(timeout=25)

    assert resume.returncode == 75
    assert said == f"botctl: {said[8:].strip()}\n"
    assert "locked by another process" in said
    assert pause.returncode == 0
    assert bot.json("status")["system_status"] == "PAUSED"


def test_a_disk_that_fills_in_the_middle_of_a_transaction_is_named(store: Path) -> None:
    """SQLite has rolled back by itself then; a second rollback would be an error that hides the first."""
    close_database()

    said = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(store)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ).stderr

    assert said.startswith(f"1 {store} can't be written: ")
    assert "free some disk space" in said


@pytest.mark.sqlite("about the file")
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o400, 0o755), (None, 0o555)])
def test_what_may_not_be_written_is_a_matter_of_configuration(file_mode: int | None, folder_mode: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "demo.db"
        if file_mode is not None:
            open_database(SqliteFile(path), Mode.DEMO, create=True)
            close_database()
            path.chmod(file_mode)
        Path(folder).chmod(folder_mode)

        ended = run_unprivileged(lambda: open_database(SqliteFile(path), Mode.DEMO, create=True))

        Path(folder).chmod(0o755)
    assert ended == ConfigError.exit_code


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/live.db", "/home/bot/data/live.db"),
        ("sqlite:////var/lib/bot.db", "/var/lib/bot.db"),
        ("sqlite:///x", "/home/bot/x"),
    ],
)
def test_a_url_names_a_file_under_the_home_or_an_absolute_one(url: str, expected: str) -> None:
    assert find_location(url, Path("/home/bot")) == SqliteFile(Path(expected))


def run_unprivileged(action: Callable[[], object]) -> int:
    """The exit code of `action` in a process that permission bits bind: they don't bind root."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 99
    try:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        action()
        code = 0
    except BotError as error:
        code = error.exit_code
    finally:
        os._exit(code)


class held:
    """Another process that keeps the database for itself."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.arguments = [sys.executable, "-c", HOLD_THE_LOCK, str(path), str(seconds)]

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_who_only_reads_waits_for_no_writer_and_can_write_nothing(path: Path) -> None:
    open_database(SqliteFile(path), Mode.DEMO, create=True)
    close_database()
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")

        with open_to_read(SqliteFile(path, busy_seconds=0), Mode.DEMO):
            assert DatabaseInfo.select().count() == 1
            with pytest.raises(BotError, match="can't write"):
                SystemConfig.update(value="PAUSED").execute()

        writer.execute("UPDATE stamp SET schema_version = schema_version - 1")
        writer.execute("COMMIT")
    with pytest.raises(BotError, match="schema"), open_to_read(SqliteFile(path), Mode.DEMO):
        pytest.fail("an older schema is not read as if it were this one")
    [(version,)] = writer.execute("SELECT schema_version FROM stamp").fetchall()
    assert version == SCHEMA_VERSION - 1
    with pytest.raises(ConfigError, match="BOTCTL_MODE"), open_to_read(SqliteFile(path), Mode.LIVE):
        pytest.fail("another mode's is not read")


def test_who_only_reads_creates_nothing(path: Path) -> None:
    with pytest.raises(BotError, match="no demo database"), open_to_read(SqliteFile(path), Mode.DEMO):
        pytest.fail("there is none")

    assert files_in(path.parent) == {}
