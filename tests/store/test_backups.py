"""Copies of the database: whole or not there, one a day, kept for seven days, and good for coming back to."""

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from botctl.config import Config, open_store
from botctl.domain.configuration.settings import Mode, parse_settings
from botctl.domain.errors import BotError, ConfigError
from botctl.store import key_value
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.store.models import database
from botctl.store.upkeep.backups import back_up_daily, load_backup_failure, newest_backup
from botctl.trading.tick import tick
from botctl.wiring import build_bot
from tests.bent_time import sleeping_moves
from tests.bot_runner import PROJECT, BotRunner
from tests.corruption import damage
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, output_of, trade_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

BACKS_UP = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from botctl.domain.errors import BotError
from botctl.store.upkeep.backups import back_up_daily
from botctl.store.location import SqliteFile
{first}
try:
    path = Path(sys.argv[1])
    back_up_daily(SqliteFile(path), path, datetime.fromisoformat("2026-11-24T12:00:00+00:00"))
except BotError as error:
    sys.exit(f"{{error.exit_code}} {{error}}")
"""
DIES = BACKS_UP.format(first="os.fsync = lambda _handle: os.kill(os.getpid(), signal.SIGKILL)")
"""All is copied, and nothing is named yet."""


def names(store: Path) -> list[str]:
    folder = store.with_name("backups")
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def older_copy(store: Path, day: str, content: bytes = b"a copy") -> Path:
    store.with_name("backups").mkdir(exist_ok=True)
    copy = store.with_name("backups") / f"{store.stem}-{day}.db"
    copy.write_bytes(content)
    return copy


def child(program: str, store: Path, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(store)], stderr=subprocess.PIPE, text=True, env=environment, **options
    )  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def kept(store: Path) -> Path:
    """A database with something in it."""
    key_value.save("kept", "x" * 100_000)
    return store


def test_a_copy_is_whole_private_and_one_file(kept: Path) -> None:
    before = os.umask(0)
    try:
        copy = back_up_daily(SqliteFile(kept), kept, NOON)
    finally:
        os.umask(before)

    assert copy is not None
    assert names(kept) == ["demo-2026-11-24.db"]
    assert (stat.S_IMODE(copy.stat().st_mode), stat.S_IMODE(copy.parent.stat().st_mode)) == (0o600, 0o700)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT length(value) FROM memory").fetchall() == [(100_000,)]


def test_there_is_one_a_day_by_utc(kept: Path) -> None:
    assert back_up_daily(SqliteFile(kept), kept, NOON) is not None
    key_value.save("kept", "later that day")

    assert back_up_daily(SqliteFile(kept), kept, datetime.fromisoformat("2026-11-25T00:59:59+01:00")) is None
    assert back_up_daily(SqliteFile(kept), kept, datetime.fromisoformat("2026-11-25T01:00:00+01:00")) is not None
    assert names(kept) == ["demo-2026-11-24.db", "demo-2026-11-25.db"]


def test_what_was_committed_last_is_in_it_while_another_process_writes(kept: Path) -> None:
    key_value.save("kept", "committed")
    with database.atomic("IMMEDIATE"):
        key_value.save("kept", "not committed")

        copy = back_up_daily(SqliteFile(kept), kept, NOON)

    assert copy is not None
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT value FROM memory").fetchall() == [("committed",)]


def test_the_newest_seven_copies_stay_and_nobody_elses_file_goes(kept: Path) -> None:
    for day in range(10, 20):
        older_copy(kept, f"2026-10-{day}")
    others = ["mine-2026-01-01.db", "demo-2026-01-01.db.gz", "demo-2026-99-99.db", "demo-yesterday.db", "notes.txt"]
    for name in others:
        (kept.with_name("backups") / name).touch()
    (kept.parent / "demo-2026-01-01.db").touch()

    back_up_daily(SqliteFile(kept), kept, NOON)

    newest = [f"demo-2026-10-{day}.db" for day in range(14, 20)]
    assert names(kept) == sorted([*others, *newest, "demo-2026-11-24.db"])
    assert (kept.parent / "demo-2026-01-01.db").exists()


@pytest.mark.parametrize("wrong", ["1970-01-01", "2038-01-19"])
def test_a_clock_that_was_wrong_once_deletes_no_copy_but_the_oldest(kept: Path, wrong: str) -> None:
    for day in range(17, 24):
        older_copy(kept, f"2026-11-{day}")

    back_up_daily(SqliteFile(kept), kept, datetime.fromisoformat(f"{wrong}T12:00:00+00:00"))

    assert set(names(kept)) >= {f"demo-{wrong}.db", *(f"demo-2026-11-{day}.db" for day in range(18, 24))}


def test_copies_with_days_that_are_still_to_come_take_no_other_copys_place(kept: Path) -> None:
    for day in range(10, 20):
        older_copy(kept, f"2026-11-{day}")
        older_copy(kept, f"2038-01-{day}")

    back_up_daily(SqliteFile(kept), kept, NOON)

    of_now = [f"demo-2026-11-{day}.db" for day in range(14, 20)]
    ahead = [f"demo-2038-01-{day}.db" for day in range(13, 20)]
    assert names(kept) == sorted([*of_now, *ahead, "demo-2026-11-24.db"])


def test_a_copy_that_is_still_to_come_is_not_named_as_the_newest(kept: Path) -> None:
    true = older_copy(kept, "2026-11-20")
    ahead = older_copy(kept, "2138-01-19")

    assert newest_backup(kept) == true
    true.unlink()
    assert newest_backup(kept) == ahead


def test_copies_from_before_a_migration_count_among_the_seven(kept: Path) -> None:
    for day in range(10, 16):
        older_copy(kept, f"2026-11-{day}")
    for version, days in ((1, 30), (2, 7)):
        SqliteFile(kept).keep_version(version)
        at = (NOON - timedelta(days=days)).timestamp()
        os.utime(kept.with_name(f"demo.db.v{version}.backup"), (at, at))

    back_up_daily(SqliteFile(kept), kept, NOON)

    assert not kept.with_name("demo.db.v1.backup").exists()
    assert kept.with_name("demo.db.v2.backup").exists()


def test_without_hard_links_a_copy_is_made_all_the_same(kept: Path) -> None:
    close_database()
    child(BACKS_UP.format(first="def refuse(*_): raise OSError(1, 'not permitted')\nos.link = refuse"), kept).wait(30)

    assert names(kept) == ["demo-2026-11-24.db"]


def test_a_damaged_database_pushes_no_good_copy_out(kept: Path) -> None:
    older_copy(kept, "2026-11-01")
    close_database()
    damage(kept, "event")

    with pytest.raises(ConfigError, match=r"demo.db is damaged .*recover"):
        back_up_daily(SqliteFile(kept), kept, NOON)

    assert names(kept) == ["demo-2026-11-01.db"]


def test_a_file_that_is_no_database_any_more_pushes_no_good_copy_out(kept: Path) -> None:
    older_copy(kept, "2026-11-01")
    close_database()
    kept.write_bytes(bytes(range(256)) * 64)

    with pytest.raises(ConfigError, match=r"demo.db is damaged .*recover"):
        back_up_daily(SqliteFile(kept), kept, NOON)

    assert names(kept) == ["demo-2026-11-01.db"]


def test_a_damaged_database_is_migrated_all_the_same(kept: Path) -> None:
    """Its stops need the new schema; what could be copied is a copy."""
    close_database()
    damage(kept, "event")

    SqliteFile(kept).keep_version(1)

    assert kept.with_name("demo.db.v1.backup").stat().st_size == kept.stat().st_size


def test_a_run_killed_in_the_middle_leaves_no_copy_and_the_next_one_cleans_up(kept: Path) -> None:
    close_database()
    died = child(DIES, kept)
    died.communicate(timeout=30)
    left = names(kept)

    copy = back_up_daily(SqliteFile(kept), kept, NOON)

    assert died.returncode == -9
    assert left == [f"demo-2026-11-24.db.{died.pid}.part"]
    assert names(kept) == ["demo-2026-11-24.db"]
    assert copy is not None
    assert SqliteFile(copy).find_damage() is None


def test_a_part_of_a_run_that_lives_is_left_to_it(kept: Path) -> None:
    close_database()
    waiting = child(BACKS_UP.format(first="os.fsync = lambda _handle: signal.pause()"), kept)
    part = kept.with_name("backups") / f"demo-2026-11-24.db.{waiting.pid}.part"
    while not part.exists():
        assert waiting.poll() is None

    back_up_daily(SqliteFile(kept), kept, NOON)

    still_there = part.exists()
    waiting.kill()
    waiting.communicate()
    assert still_there


def test_two_at_once_leave_one_whole_copy(kept: Path) -> None:
    close_database()
    runs = [child(BACKS_UP.format(first=""), kept) for _ in range(2)]

    said = [run.communicate(timeout=30)[1] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    assert names(kept) == ["demo-2026-11-24.db"]
    assert SqliteFile(kept.with_name("backups") / "demo-2026-11-24.db").find_damage() is None


def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing_half_made(kept: Path) -> None:
    older_copy(kept, "2026-11-01")
    close_database()
    limit = (50_000, 50_000)

    refused = child(
        BACKS_UP.format(first=""), kept, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    said = refused.communicate(timeout=30)[1]

    assert refused.returncode == 1
    assert said.startswith("1 no copy was made: ")
    assert "Traceback" not in said
    assert names(kept) == ["demo-2026-11-01.db"]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(kept: Path) -> None:
    kept.with_name("backups").write_text("a file")

    with pytest.raises(BotError, match=r"no copy of .*demo.db was made: .*backups"):
        back_up_daily(SqliteFile(kept), kept, NOON)


# At the end of a tick


def test_a_tick_leaves_one_copy_a_day_and_the_newest_seven_stay(live: BotRunner) -> None:
    live.run("pause")
    for day in range(1, 11):
        with freeze_time(f"2026-11-{day:02} 12:00"):
            assert live.run("tick").exit_code == 0
    with freeze_time("2026-11-10 12:15"):
        assert live.run("tick").exit_code == 0

    assert names(live.database) == [f"live-2026-11-{day:02}.db" for day in range(4, 11)]


def test_a_paused_and_a_frozen_tick_leave_one_too(live: BotRunner) -> None:
    for day, command in ((1, ["pause"]), (2, ["pause", "--freeze"])):
        live.run(*command)
        with freeze_time(f"2026-11-{day:02} 12:00"):
            live.run("tick")

    assert names(live.database) == ["live-2026-11-01.db", "live-2026-11-02.db"]


def test_a_copy_that_fails_is_said_once_a_day_after_all_else_is_done(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    live.database.with_name("backups").write_text("a file")

    with freeze_time(NOON) as clock, sleeping_moves(clock):
        first, second = live.run("tick"), live.run("tick")
        clock.tick(timedelta(days=1))
        next_day = live.run("tick")

    assert [run.exit_code for run in (first, second, next_day)] == [1, 0, 1], output_of(first)
    assert "backup: no copy of" in first.stderr
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    live.open_store()
    assert "no copy of" in load_backup_failure()


@pytest.mark.sqlite("it fills, kills or damages while a file is copied")
def test_nothing_is_copied_where_there_is_no_room_for_it(live: BotRunner, tmp_path: Path) -> None:
    live.run("pause")
    with live.database.open("r+b") as file:  # a sparse file: larger than the free space of any disk
        file.truncate(2**43)

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "MB free" in run.stderr
    assert names(live.database) == []


@pytest.mark.sqlite("it fills, kills or damages while a file is copied")
def test_a_tick_on_a_damaged_database_says_so_and_keeps_every_copy(live: BotRunner) -> None:
    live.run("pause")
    old = older_copy(live.database, "2026-01-01")
    damage(live.database, "decision")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert "backup: " in run.stderr
    assert "live.db is damaged" in run.stderr
    assert names(live.database) == [old.name]


def test_a_database_that_is_thrown_away_has_no_copies(tmp_path: Path) -> None:
    """Put together as `botctl demo` does it."""
    home = Config(tmp_path, tmp_path / ".env", parse_settings({}))
    with open_store(home):
        tick(build_bot(home.settings, home.switch))

    assert names(home.database_file) == []


def test_a_copy_put_in_the_databases_place_works(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause")
    live.run("tick")
    [copy] = live.database.with_name("backups").iterdir()
    for file in live.database.parent.glob("live.db*"):
        file.unlink()

    shutil.copy(copy, live.database)
    live.run("resume")
    kraken.set_price("BTC/USD", 48999)
    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_a_migrated_database_keeps_the_copy_of_its_older_self(path: Path) -> None:
    open_database(SqliteFile(path), Mode.DEMO, create=True)

    SqliteFile(path).keep_version(1)
    key_value.save("kept", "since then")
    SqliteFile(path).keep_version(1)

    with closing(sqlite3.connect(path.with_name("demo.db.v1.backup"))) as connection:
        assert connection.execute("SELECT * FROM memory WHERE key = 'kept'").fetchall() == []
