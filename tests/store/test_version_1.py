"""A database of botctl 0.1.0 becomes one of today: nothing of it is lost, and no crash leaves it in between."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.configuration.settings import Mode
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.store.models import Alarm, DatabaseInfo, Order, Outgoing, Trade, database
from botctl.store.schema.migrations import SCHEMA_VERSION, STEPS, migrate_database
from botctl.store.sqlite import Database
from tests.databases import rows_of
from tests.quick import parametrize
from tests.store.version_1 import make_version_1

DIES_AT_A_STATEMENT = """
import os, signal, sqlite3, sys
from pathlib import Path
from botctl.domain.configuration.settings import Mode
from botctl.store.database import open_database
from botctl.store.location import SqliteFile

real_connect, left = sqlite3.connect, int(sys.argv[2])

def connect(*args, **kwargs):
    connection = real_connect(*args, **kwargs)
    connection.set_trace_callback(count if str(args[0]).endswith("live.db") else None)
    return connection

def count(statement):
    global left
    left -= statement.startswith(("BEGIN", "ALTER", "UPDATE", "CREATE", "COMMIT"))
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

sqlite3.connect = connect
open_database(SqliteFile(Path(sys.argv[1])), Mode.LIVE, create=False)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Where a database of version 1 lies, closed."""
    path = tmp_path / "data" / "live.db"
    make_version_1(path)
    return path


def opened(path: Path) -> None:
    open_database(SqliteFile(path), Mode.LIVE, create=False)


def test_nothing_of_it_is_lost(old: Path) -> None:
    before = rows_of(old, without=("stamp",))

    opened(old)
    close_database()

    after = rows_of(old, without=("stamp",))
    new = {"trade": None, "decision": [(1,)], "event": [(None,), ("50100",)], "order": [(None, 0, None)] * 2}
    for table, added in new.items():
        rows, old_rows = after.pop(table), before.pop(table)
        width = len(old_rows[0])
        assert [row[:width] for row in rows] == old_rows
        assert added in (None, [row[width:] for row in rows])
    assert (after.pop("alarm"), after.pop("outgoing"), after.pop("paperstop")) == ([], [], [])
    assert after == before


def test_a_database_of_version_2_gets_its_alarms_and_keeps_all_else(old: Path) -> None:
    lead_to_version_2(old)
    before = rows_of(old, without=("stamp",))
    assert not {"alarm", "outgoing"} & before.keys()

    opened(old)

    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert (Alarm.select().count(), Outgoing.select().count()) == (0, 0)
    close_database()
    after = rows_of(old, without=("stamp", "alarm", "outgoing", "paperstop"))
    for table, added in {"trade": 2, "decision": 1, "event": 1, "order": 3}.items():
        after[table] = [row[:-added] for row in after[table]]
    assert after == before


def lead_to_version_2(old: Path) -> None:
    """What botctl made of it before there were alarms."""
    database.initialize(Database(str(old)))
    database.connect()
    migrate_database(SqliteFile(old), steps={1: STEPS[1]}, version=2)
    close_database()


def test_every_trade_has_a_mark_of_its_own(old: Path) -> None:
    opened(old)

    marks = [trade.mark for trade in Trade.select()]

    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert len(set(marks)) == 2
    assert all(re.fullmatch("[0-9a-f]{8}", mark) for mark in marks)
    close_database()


def test_it_has_the_columns_and_the_walls_of_a_new_one(old: Path, tmp_path: Path) -> None:
    opened(old)
    led = shape(old)
    close_database()

    open_database(SqliteFile(tmp_path / "new.db"), Mode.LIVE, create=True)
    new = shape(tmp_path / "new.db")
    close_database()

    assert led == new


def test_its_orders_go_on_with_their_old_ids_and_new_ones_carry_the_mark(old: Path) -> None:
    from botctl.domain.client_order_ids import parse_client_id
    from botctl.domain.orders import ExitReason
    from botctl.store.journal import Journal

    opened(old)
    journal = Journal("live")
    [trade] = journal.open_trades()
    [unsettled] = journal.unsettled()
    now = trade.created_at

    order = journal.intend_exit(
        trade, trade.amount, ExitReason.STOP_LOSS, whole=True, check=lambda: None, deadline=now, now=now
    )

    assert unsettled.client_order_id == "1f0f4c9a-61ce-4d53-a1b5-3b6b0b1d9a11"
    said = parse_client_id(order.client_order_id)
    assert said is not None
    assert (said.trade_tag, said.trade_id, said.reason) == (trade.mark, 1, ExitReason.STOP_LOSS)
    close_database()


@parametrize("number", range(1, 20), quick=2)
def test_killed_between_its_statements_it_is_whole_as_it_was(old: Path, number: int) -> None:
    before = rows_of(old)

    died = subprocess.run(
        [sys.executable, "-c", DIES_AT_A_STATEMENT, str(old), str(number)], capture_output=True, text=True
    )

    assert died.returncode == -9, died.stderr
    assert rows_of(old) == before
    opened(old)
    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert Order.select().count() == 2
    close_database()


def shape(path: Path) -> dict[str, Any]:
    """Columns with their types, and indexes with what they say."""
    with closing(sqlite3.connect(path)) as connection:
        tables = sorted(database.get_tables())
        columns = {table: [row[1:4] for row in connection.execute(f'PRAGMA table_info("{table}")')] for table in tables}
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")
        return {"columns": columns, "indexes": {name: " ".join((sql or "").split()) for name, sql in indexes}}
