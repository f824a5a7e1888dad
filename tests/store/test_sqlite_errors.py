"""SQLite's own failures, each made to happen: which of our errors it becomes, by its code and not by its words."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import peewee
import pytest

from botctl.domain.errors import BotError, Busy, ConfigError
from botctl.store.sqlite import Database, explain, primary_code_of
from tests.corruption import limited_file_size

Failure = Callable[[Path], None]


@contextmanager
def connection_to(where: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(where, uri=True, timeout=0, isolation_level=None)) as connection:
        yield connection


def busy(path: Path) -> None:
    with connection_to(str(path)) as other, connection_to(str(path)) as connection:
        other.execute("BEGIN EXCLUSIVE")
        connection.execute("SELECT * FROM kept")


def busy_with_a_snapshot(path: Path) -> None:
    """A reader that wants to write after another has written: its extended code is SQLITE_BUSY_SNAPSHOT."""
    with connection_to(str(path)) as other, connection_to(str(path)) as connection:
        other.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM kept").fetchall()
        other.execute("INSERT INTO kept VALUES ('more')")
        connection.execute("INSERT INTO kept VALUES ('even more')")


def locked(path: Path) -> None:
    """By another connection that shares its cache."""
    shared = f"{path.as_uri()}?cache=shared"
    with connection_to(shared) as other, connection_to(shared) as connection:
        other.execute("BEGIN")
        other.execute("INSERT INTO kept VALUES ('more')")
        connection.execute("SELECT * FROM kept").fetchall()


def read_only(path: Path) -> None:
    with connection_to(f"{path.as_uri()}?mode=ro") as connection:
        connection.execute("INSERT INTO kept VALUES ('more')")


def cannot_open(path: Path) -> None:
    with connection_to(str(path / "below a file.db")):
        pass


def not_a_database(path: Path) -> None:
    path.write_bytes(b"no database at all, and long enough to be seen as none " * 40)
    with connection_to(str(path)) as connection:
        connection.execute("SELECT * FROM kept")


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"x" * len(content[4096:])
    path.write_bytes(content)
    with connection_to(str(path)) as connection:
        connection.execute("SELECT * FROM kept").fetchall()


def full(path: Path) -> None:
    with connection_to(str(path)) as connection:
        connection.execute("PRAGMA max_page_count = 3")
        connection.execute("INSERT INTO kept VALUES (?)", ("x" * 100_000,))


def input_output(path: Path) -> None:
    """A file that may not grow further: the disk refuses the write itself."""
    with connection_to(str(path)) as connection, limited_file_size(path.stat().st_size):
        connection.execute("INSERT INTO kept VALUES (?)", ("x" * 100_000,))


def wrong_statement(path: Path) -> None:
    with connection_to(str(path)) as connection:
        connection.execute("SELECT colour FROM kept WHERE colour = 'locked'")


def closed(path: Path) -> None:
    """Python's own complaint, which has no code of SQLite."""
    with connection_to(str(path)) as connection:
        pass
    connection.execute("SELECT * FROM kept")


FAILURES: list[tuple[Failure, int | None, type[BotError], int, str]] = [
    (busy, sqlite3.SQLITE_BUSY, Busy, 75, "locked by another process"),
    (busy_with_a_snapshot, sqlite3.SQLITE_BUSY, Busy, 75, "locked by another process"),
    (locked, sqlite3.SQLITE_LOCKED, Busy, 75, "locked by another process"),
    (read_only, sqlite3.SQLITE_READONLY, ConfigError, 78, "can't write"),
    (cannot_open, sqlite3.SQLITE_CANTOPEN, ConfigError, 78, "can't write"),
    (not_a_database, sqlite3.SQLITE_NOTADB, ConfigError, 78, "is damaged"),
    (corrupt, sqlite3.SQLITE_CORRUPT, ConfigError, 78, "is damaged"),
    (full, sqlite3.SQLITE_FULL, BotError, 1, "can't be written"),
    (input_output, sqlite3.SQLITE_IOERR, BotError, 1, "can't be written"),
    (wrong_statement, sqlite3.SQLITE_ERROR, BotError, 1, "failed"),
    (closed, None, BotError, 1, "failed"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound database of one table."""
    path = tmp_path / "kept.db"
    with connection_to(str(path)) as connection:
        connection.execute("CREATE TABLE kept (value TEXT)")
        connection.execute("INSERT INTO kept VALUES ('something')")
    return path


@pytest.mark.parametrize(
    ("fail", "code", "kind", "exit_code", "words"), FAILURES, ids=[failure[0].__name__ for failure in FAILURES]
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["raw", "by peewee"])
def test_sqlites_own_errors_become_the_readers_next_move(
    path: Path,
    wrapped: bool,
    fail: Failure,
    code: int | None,
    kind: type[BotError],
    exit_code: int,
    words: str,
) -> None:
    wrapper = peewee.__exception_wrapper__ if wrapped else nullcontext()
    with pytest.raises(peewee.PeeweeException if wrapped else sqlite3.Error) as caught, wrapper:
        fail(path)

    error = explain(caught.value, "demo.db")

    cause = caught.value.__context__ if wrapped else caught.value
    assert cause is not None
    assert primary_code_of(cause) == code
    assert (type(error), error.exit_code) == (kind, exit_code)
    assert words in error.message
    assert "demo.db" in error.message
    assert error.hint


def test_peewee_gives_sqlites_error_along_with_its_own(path: Path) -> None:
    """What comes out of a connection that could not be opened is peewee's error; `explain` finds SQLite's in it."""
    database = Database(str(path / "below a file.db"))

    with pytest.raises(peewee.OperationalError) as caught:
        database.connect()

    assert isinstance(caught.value.orig, sqlite3.OperationalError)
    assert type(explain(caught.value)) is ConfigError
