"""`botctl db`: a database that moves from one kind to the other with nothing lost, copies, checks, migrations."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from botctl.config import LockTimeouts
from botctl.domain.configuration.database_url import ServerUrl
from botctl.store.location import PostgresServer
from botctl.store.schema.migrations import SCHEMA_VERSION
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, check_json_error, files_in
from tests.databases import DOWNGRADES, execute, held_lock, rows_of
from tests.fields import BACKUP, CHECK, COPIED_TABLE, COPY, MIGRATE
from tests.postgres import Server
from tests.quick import parametrize
from tests.store.version_1 import make_version_1

NASTY = """INSERT INTO event ({columns}) VALUES (77, '2025-01-01T00:00:00.000000+00:00', 'odd', 1, NULL, '{{}}',
    '{{"price": "12345678901.12345678", "none": null}}', 'Ünïcödé ''quoted'' 100%% %s ? \\ ' || {line} || 'tab')"""

DIES_WHILE_IT_COMPARES = """
import os, signal, sys
from botctl.cli.app import run_command
from botctl.store import copy
copy._read_checksum = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
run_command(["db", "copy", "--to", sys.argv[1]])
"""


@pytest.fixture
def elsewhere(server: Server) -> Any:
    """An empty database on the server."""
    url = server.new_database()
    yield url
    server.drop(url)


def add_odd_rows(bot: BotRunner) -> None:
    """What is easily bent on the way: long numbers, quotes, signs of SQL, line ends, numbers with gaps."""
    columns = 'id, at, kind, trade_id, order_id, "before", "after", why'
    line = "chr(10)" if bot.server else "char(10)"
    bot.execute(NASTY.format(columns=columns, line=line).replace("%%", "%"))
    bot.execute(
        "UPDATE trade SET atr = 0.1 + 0.2, stop_loss_price = 1e-30, high_price = 62656.51000000001 WHERE id = 1"
    )


def test_there_and_back_again_nothing_is_lost(veteran: BotRunner, elsewhere: str) -> None:
    add_odd_rows(veteran)
    before, trades = veteran.rows(), veteran.trades()

    there = veteran.json("db", "copy", "--to", elsewhere)
    veteran.set(DATABASE_URL=elsewhere)
    over_there, checked = veteran.trades(), veteran.run("db", "check")
    back = veteran.json("db", "copy", "--to", "sqlite:///data/back.db")
    veteran.set(DATABASE_URL="sqlite:///data/back.db")

    assert set(there) == COPY
    assert {table["table"]: table["rows"] for table in there["tables"]} == {
        name: len(rows) for name, rows in before.items()
    }
    assert all(set(table) == COPIED_TABLE for table in there["tables"])
    assert [table["checksum"] for table in there["tables"]] == [table["checksum"] for table in back["tables"]]
    assert checked.exit_code == 0, checked.stdout
    assert over_there == trades == veteran.trades()
    assert rows_of(veteran.home / "data" / "back.db") == before
    assert stat.S_IMODE((veteran.home / "data" / "back.db").stat().st_mode) == 0o600
    assert veteran.run("db", "check").exit_code == 0


def test_a_copy_goes_on_where_the_other_stopped(veteran: BotRunner, elsewhere: str) -> None:
    """New rows get numbers of their own, and the same tape gives the same decisions."""
    assert veteran.run("db", "copy", "--to", elsewhere).exit_code == 0
    ticks = [veteran.json("tick") for _ in range(2)]
    veteran.set(DATABASE_URL=elsewhere)

    again = [veteran.json("tick") for _ in range(2)]

    def without_order_ids(tick: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in tick.items() if name != "steps"}
        for order in kept["exits"] + kept["entries"]:
            order["client_order_id"] = order["exchange_order_id"] = None
        return kept

    assert list(map(without_order_ids, again)) == list(map(without_order_ids, ticks))
    assert veteran.run("db", "check").exit_code == 0


@pytest.mark.long
def test_from_server_to_server(hosted: BotRunner, elsewhere: str) -> None:
    hosted.run("tick")

    assert hosted.run("db", "copy", "--to", elsewhere).exit_code == 0

    assert rows_of(PostgresServer(ServerUrl(elsewhere))) == hosted.rows()


def test_what_init_made_is_still_empty(veteran: BotRunner, elsewhere: str) -> None:
    here = os.environ.get("DATABASE_URL", "")
    veteran.json("pause")
    veteran.set(DATABASE_URL=elsewhere)
    assert veteran.run("init").exit_code == 0
    veteran.set(DATABASE_URL=here)

    assert veteran.run("db", "copy", "--to", elsewhere).exit_code == 0

    veteran.set(DATABASE_URL=elsewhere)
    assert veteran.json("status")["system_status"] == "PAUSED"


@pytest.mark.parametrize("kind", ["server", "file"])
def test_a_database_with_rows_is_refused_and_left_alone(veteran: BotRunner, elsewhere: str, kind: str) -> None:
    to = elsewhere if kind == "server" else "sqlite:///data/full.db"
    assert veteran.run("db", "copy", "--to", to).exit_code == 0
    before = veteran.rows()

    run = veteran.run("db", "copy", "--to", to)

    check_error(run, 3, "is not empty", "table trade")
    veteran.set(DATABASE_URL=to)
    assert veteran.rows() == before if veteran.server is None else True


def test_a_database_of_another_mode_or_program_is_refused(veteran: BotRunner, elsewhere: str) -> None:
    here = os.environ.get("DATABASE_URL", "")
    veteran.set(DATABASE_URL=elsewhere)
    assert veteran.run("init").exit_code == 0

    execute(PostgresServer(ServerUrl(elsewhere)), "UPDATE stamp SET mode = 'paper'")
    veteran.set(DATABASE_URL=here)
    with closing(sqlite3.connect(veteran.home / "songs.db")) as songs:
        songs.execute("CREATE TABLE songs (id INTEGER)")

    check_error(veteran.run("db", "copy", "--to", elsewhere), 78, "is a paper database")
    check_error(veteran.run("db", "copy", "--to", "sqlite:///songs.db"), 78, "not a botctl database")


def test_a_run_at_work_in_the_other_database_is_waited_for_and_then_busy(veteran: BotRunner, elsewhere: str) -> None:
    veteran.wait_for_others(LockTimeouts(run=0.2))
    with held_lock(PostgresServer(ServerUrl(elsewhere))):
        check_error(veteran.run("db", "copy", "--to", elsewhere), 75, "another run of botctl holds the lock")
    with held_lock(veteran.where):
        check_error(veteran.run("db", "copy", "--to", elsewhere), 75, "another run of botctl holds the lock")


@parametrize("kind", ["server", "file"], quick=1)
def test_a_copy_that_is_killed_leaves_nothing_and_can_be_made_again(
    veteran: BotRunner, elsewhere: str, kind: str
) -> None:
    to = elsewhere if kind == "server" else f"sqlite:///{veteran.home}/data/other.db"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}

    died = subprocess.run([sys.executable, "-c", DIES_WHILE_IT_COMPARES, to], env=environment, capture_output=True)

    assert died.returncode == -signal.SIGKILL, died.stderr
    assert veteran.run("db", "copy", "--to", to).exit_code == 0


@pytest.mark.parametrize(
    ("to", "exit_code", "words"),
    [
        ("mysql://x/y", 2, "--to must be sqlite:///path"),
        ("postgresql://bot:p@ss@h/b", 2, "must be encoded"),
        ("postgresql://bot:hush-hush@127.0.0.1:9/bot", 1, "can't be reached"),
        ("sqlite:////proc/nowhere/x.db", 78, "can't write"),
    ],
)
def test_a_place_that_cannot_be_meant_is_named_without_its_password(
    veteran: BotRunner, to: str, exit_code: int, words: str
) -> None:
    run = veteran.run("db", "copy", "--to", to)

    check_error(run, exit_code, words)
    assert "hush" not in run.stderr
    assert "p@ss" not in run.stderr


def test_a_file_that_was_made_for_a_copy_that_failed_goes_again(veteran: BotRunner) -> None:
    veteran.execute("UPDATE tick SET seconds = 'long' WHERE id = 1" if not veteran.server else "SELECT 1")
    if veteran.server:
        pytest.skip("a server keeps words out of a column of numbers")

    check_error(veteran.run("db", "copy", "--to", "sqlite:///data/new.db"), 1, "tick 1 has 'long' as seconds")

    assert not (veteran.home / "data" / "new.db").exists()


# Backups


def test_a_backup_is_one_private_file_with_every_row(veteran: BotRunner) -> None:
    add_odd_rows(veteran)
    before = veteran.rows()

    answer = veteran.json("db", "backup", "kept.db")
    again = veteran.run("db", "backup", "kept.db")

    assert set(answer) == BACKUP
    file = Path(answer["file"])
    assert (file.stat().st_size, stat.S_IMODE(file.stat().st_mode)) == (answer["bytes"], 0o600)
    assert rows_of(file) == before
    check_error(again, 3, "already exists")
    assert veteran.run("db", "backup").exit_code == 0
    assert len(list((veteran.home / "data" / "backups").glob("demo-*Z.db"))) == 1


@pytest.mark.long
def test_a_backup_of_a_server_can_be_brought_back(hosted: BotRunner, elsewhere: str) -> None:
    hosted.run("tick")
    before = hosted.rows()
    file = hosted.json("db", "backup")["file"]
    hosted.set(DATABASE_URL=f"sqlite:///{file}")

    assert hosted.run("db", "copy", "--to", elsewhere).exit_code == 0

    assert rows_of(PostgresServer(ServerUrl(elsewhere))) == before


# Checks

BROKEN = {
    "UPDATE trade SET amount = 'much' WHERE id = 1": "trade 1: amount reads 'much'",
    "UPDATE tick SET at = 'noon' WHERE id = 2": "tick 2: at reads 'noon'",
    "UPDATE event SET \"after\" = '{' WHERE id = 1": "event 1: after reads '{'",
    "UPDATE trade SET status = 'LOST' WHERE id = 1": "trade 1: its status is unknown",
    "UPDATE trade SET status = 'OPEN', stop_loss_price = NULL WHERE id = 1": "trade 1: it is open without a stop",
    "UPDATE trade SET status = 'OPEN', amount = '0' WHERE id = 1": "trade 1: it is open and holds nothing",
    "UPDATE trade SET exit_time = NULL WHERE id = 1": "trade 1: it is closed without a time",
    "UPDATE \"order\" SET exchange_order_id = NULL WHERE id = 1": "order 1: the exchange has it",
    "UPDATE \"order\" SET cost = NULL WHERE id = 1": "order 1: it has ended without its cost",
    "UPDATE event SET trade_id = 99 WHERE trade_id = 1": "trade 99: it has events, and it is missing",
    "UPDATE systemconfig SET value = 'maybe' WHERE key = 'frozen'": "frozen reads 'maybe'",
    "DROP INDEX one_active_trade_per_asset": "trade lacks the unique index one_active_trade_per_asset",
    "DROP TABLE decision": "the table decision is missing",
    "ALTER TABLE trade RENAME COLUMN high_price TO top": "trade lacks the column high_price",
}  # fmt: skip


def test_a_sound_database_has_nothing_to_mend(veteran: BotRunner) -> None:
    lines = veteran.json("db", "check")

    assert {line["status"] for line in lines} <= {"ok", "warn"}
    assert set(lines[0]) == CHECK
    assert [line["name"] for line in lines] == [
        "integrity", "schema", "values", "rows", "references", "trades", "orders", "switch", "numbering",
    ]  # fmt: skip


@parametrize("statement", BROKEN, quick=6)
def test_what_is_broken_is_named_and_left_alone(veteran: BotRunner, statement: str) -> None:
    veteran.execute(statement)
    before = veteran.rows()

    run = veteran.run("db", "check", "--json")

    assert run.exit_code == 1
    details = " ".join(line["detail"] for line in run.json() if line["status"] == "fail")
    assert BROKEN[statement] in details
    assert veteran.rows() == before


@pytest.mark.sqlite("a server refuses it")
def test_an_order_without_its_trade_is_named(veteran: BotRunner) -> None:
    veteran.execute("DELETE FROM trade WHERE id = 1")

    run = veteran.run("db", "check")

    assert run.exit_code == 1
    assert "order 1: its trade is missing" in " ".join(run.stdout.split())


def test_a_server_that_rounds_a_stop_is_named(hosted: BotRunner) -> None:
    hosted.run("tick")
    hosted.execute("ALTER TABLE trade ALTER stop_loss_price TYPE real")

    run = hosted.run("db", "check", "--json")

    assert run.exit_code == 1
    assert "trade.stop_loss_price rounds its numbers" in run.stdout


def test_a_server_that_would_give_a_number_twice_is_named(hosted: BotRunner) -> None:
    hosted.run("tick")
    hosted.execute("SELECT setval('tick_id_seq', 1, false)")

    run = hosted.run("db", "check", "--json")

    assert run.exit_code == 1
    assert "tick would give the id 1 again" in run.stdout


# Migrations


@pytest.mark.sqlite("0.1.0 knew no server")
def test_a_database_of_0_1_0_is_brought_up_to_date(bot: BotRunner) -> None:
    make_version_1(bot.database, "demo")

    answer = bot.json("db", "migrate")
    again = bot.json("db", "migrate")

    assert set(answer) == MIGRATE
    assert (answer["schema_before"], answer["schema"]) == (1, SCHEMA_VERSION)
    assert again["schema_before"] == SCHEMA_VERSION
    assert bot.database.with_name("demo.db.v1.backup").exists()


def test_an_older_database_on_a_server_is_brought_up_to_date(hosted: BotRunner) -> None:
    hosted.run("tick")
    trades = hosted.rows()["trade"]
    for version in sorted(DOWNGRADES, reverse=True):
        for statement in DOWNGRADES[version]:
            hosted.execute(statement)
    hosted.execute("UPDATE stamp SET schema_version = 1")

    answer = hosted.json("db", "migrate")

    assert (answer["schema_before"], answer["schema"]) == (1, SCHEMA_VERSION)
    assert [row[:-3] for row in hosted.rows()["trade"]] == [row[:-3] for row in trades]
    assert all(row[-3] for row in hosted.rows()["trade"])
    assert [row[-1] for row in hosted.rows()["trade"]] == [row[-1] for row in trades]
    hosted.execute("SELECT 1 / (SELECT count(*) FROM botctl_v1.trade)")  # kept aside, with its rows
    assert hosted.run("db", "check").exit_code == 0


@pytest.mark.parametrize("command", ["migrate", "backup", "check"])
def test_without_a_database_none_is_made(bot: BotRunner, command: str) -> None:
    run = bot.run("db", command, "--json")

    check_json_error(run, 78, "config")
    assert [name for name in files_in(bot.home) if not name.endswith(".lock")] == []
