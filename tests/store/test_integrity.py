"""Whether a database is sound: SQLite's own word, on a connection that changes nothing."""

import sqlite3
from pathlib import Path

import pytest

from botctl.domain.errors import Busy
from botctl.store.database import close_database
from botctl.store.location import SqliteFile
from tests.corruption import damage


@pytest.mark.parametrize("is_open", [True, False])
def test_a_sound_database_has_no_complaint(store: Path, is_open: bool) -> None:
    if not is_open:
        close_database()

    assert SqliteFile(store).find_damage() is None


@pytest.mark.parametrize("name", ["decision", "event", "trade_asset_closed", "systemconfig"])
def test_a_damaged_table_or_index_is_a_complaint_in_one_line(store: Path, name: str) -> None:
    close_database()
    damage(store, name)

    complaint = SqliteFile(store).find_damage()

    assert complaint
    assert "\n" not in complaint


def test_a_file_that_is_no_database_is_a_complaint(tmp_path: Path) -> None:
    content = b"no database at all, and long enough to be seen as none " * 40
    path = tmp_path / "a folder with a space and a %" / "live.db"
    path.parent.mkdir()
    path.write_bytes(content)

    assert "not a database" in (SqliteFile(path).find_damage() or "")
    assert path.read_bytes() == content


def test_a_missing_file_is_a_complaint_and_is_not_made(tmp_path: Path) -> None:
    assert SqliteFile(tmp_path / "live.db").find_damage()
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_stays_locked_is_busy(store: Path) -> None:
    close_database()
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE systemconfig SET value = 'PAUSED' WHERE key = 'system_status'")

    with pytest.raises(Busy, match="locked by another process"):
        SqliteFile(store, busy_seconds=0.1).find_damage()

    other.close()
