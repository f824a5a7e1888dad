"""Answers of programs, kept in a file by the question: who has answered once is not asked again."""

import hashlib
import json
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from botctl.domain.errors import BadValue
from botctl.links import refuse_links
from botctl.store.sqlite import explain, make_private_file

APPLICATION_ID = 0x626F7463
"""In the header of the SQLite file: it is a cache, and no other database."""
MAX_SCRIPT_BYTES = 1_000_000
"""Larger files that a command line names are interpreters: a new version of one changes no answer."""
WORDED_DIFFERENTLY = ("reason", "outcome")
TABLE = "CREATE TABLE IF NOT EXISTS answer (question TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"


class ProgramCache:
    """The answers of programs by command line, scripts and question."""

    def __init__(self, path: Path, home: Path, database: sqlite3.Connection) -> None:
        """`home` is where the programs run."""
        self._path = path
        self._home = home
        self._database = database

    def find(self, command: str, question: str) -> str | None:
        """The kept answer. Raises BotError."""
        with _explained(self._path):
            rows = self._database.execute(
                "SELECT answer FROM answer WHERE question = ?", [key_of(command, question, self._home)]
            )
            row = rows.fetchone()
        return None if row is None else str(row[0])

    def keep(self, command: str, question: str, answer: str) -> None:
        """Keep a usable answer. Raises BotError."""
        with _explained(self._path):
            self._database.execute(
                "INSERT OR REPLACE INTO answer VALUES (?, ?)", [key_of(command, question, self._home), answer]
            )


def key_of(command: str, question: str, home: Path) -> str:
    """The hash of a question to a program; that of a changed script differs."""
    digest = hashlib.sha256(_identity_of(command, home))
    digest.update(_essence_of(question).encode())
    return digest.hexdigest()


def _essence_of(question: str) -> str:
    """The question without what a backtest and a replay word differently: why and how earlier decisions ended."""
    document = json.loads(question)
    for decision in document.get("last_decisions", ()):
        for name in WORDED_DIFFERENTLY:
            decision.pop(name, None)
    return json.dumps(document, sort_keys=True)


@cache
def _identity_of(command: str, home: Path) -> bytes:
    digest = hashlib.sha256(command.encode())
    with suppress(ValueError):  # a command line that can't be split is never run
        for word in shlex.split(command):
            with suppress(OSError):
                if (path := home / word).is_file() and path.stat().st_size <= MAX_SCRIPT_BYTES:
                    digest.update(path.read_bytes())
    return digest.digest()


@contextmanager
def open_cache(path: Path, home: Path) -> Iterator[ProgramCache]:
    """The cache in this file, which is created when missing, of programs that run in `home`.

    Each answer is kept at once, so that a run that is broken off goes on from there.
    Raises BadValue for a file that is something else, BotError for one that can't be used.
    """
    if path.is_dir():
        raise BadValue(f"--cache {path} is a folder", hint="name a file in it")
    with _explained(path):
        try:
            refuse_links(path)
            make_private_file(path)
        except OSError as error:
            raise BadValue(f"--cache {path} can't be written: {error.strerror}", hint="name another file") from error
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            _check_purpose(path, database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(TABLE)
            yield ProgramCache(path, home, database)


def _check_purpose(path: Path, database: sqlite3.Connection) -> None:
    """Stamp a new file. Raises BadValue for one that is no cache."""
    try:
        [stamp] = database.execute("PRAGMA application_id").fetchone()
        [tables] = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        stamp, tables = 0, 1
    if stamp == APPLICATION_ID:
        return
    if tables:
        raise BadValue(f"--cache {path} is not a cache of answers", hint="name a new file")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
