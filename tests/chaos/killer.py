"""Sends this very process a signal at the n-th database commit, before it or right after it, or at the n-th
statement of any kind.

Both are found by watching SQLite or the server's driver, not from a list: every statement that changes something
outside a transaction commits, and so does every COMMIT.
"""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE", "REPLACE", "ALTER", "DROP")
real_connect = sqlite3.connect


class Plain(sqlite3.Cursor):
    """SQLite's own kind, as a class that Python lets us add to."""


class Countdown:
    """Counts commits and statements, and ends the process (or stops it, as the signal is) at the chosen one."""

    def __init__(self, when: str, number: int, signal_number: int) -> None:
        self.when = when
        self.number = number
        self.signal_number = signal_number
        self.commits = 0
        self.statements = 0
        self.begins: list[int] = []
        """The numbers of the statements that begin a transaction."""

    @contextmanager
    def counted(self, sql: str, *, in_transaction: bool) -> Iterator[None]:
        """A statement runs in the block."""
        word = sql.lstrip().split(" ", 1)[0].upper().rstrip(";")
        self.statement(word)
        commits = word == "COMMIT" or (word in CHANGES and not in_transaction)
        if commits:
            self.before()
        yield
        if commits:
            self.after()

    def statement(self, word: str) -> None:
        self.statements += 1
        if word == "BEGIN":
            self.begins.append(self.statements)
        if self.when == "statement" and self.statements == self.number:
            os.kill(os.getpid(), self.signal_number)

    def before(self) -> None:
        self.commits += 1
        self._end_at("before")

    def after(self) -> None:
        self._end_at("after")

    def _end_at(self, when: str) -> None:
        if when == self.when and self.commits == self.number:
            os.kill(os.getpid(), self.signal_number)


def arm(
    when: str = "",
    number: int = 0,
    signal_number: int = signal.SIGKILL,
    *,
    busy_seconds: float | None = None,
    on_server: bool = False,
) -> Countdown:
    """Count this process's commits, and end it `before` or `after` its `number`-th one (from 1; 0 only counts).

    With `statement` it ends before its `number`-th statement of any kind. With `busy_seconds` the database waits
    no longer than that for another process.
    """
    countdown = Countdown(when, number, signal_number)
    if on_server:
        watch_server(countdown)
    else:
        watch_sqlite(countdown, busy_seconds)
    return countdown


def watch_server(countdown: Countdown) -> None:
    """Every statement goes through psycopg's cursors."""
    import psycopg
    from psycopg.pq import TransactionStatus

    real_execute = psycopg.Cursor.execute

    def execute(cursor: Any, query: str, *args: Any, **options: Any) -> Any:
        idle = cursor.connection.info.transaction_status == TransactionStatus.IDLE
        with countdown.counted(query, in_transaction=not idle):
            return real_execute(cursor, query, *args, **options)

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def watch_sqlite(countdown: Countdown, busy_seconds: float | None) -> None:
    """Every statement goes through the cursors of our connections."""

    class Counting:
        """What is added to a cursor of whatever kind the product asks for."""

        def execute(self: Any, sql: str, *args: Any) -> Any:
            with countdown.counted(sql, in_transaction=self.connection.in_transaction):
                super().execute(sql, *args)  # type: ignore[misc]
            return self

    @cache
    def counting(kind: type) -> type:
        return type("Counted", (Counting, kind), {})

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Callable[[sqlite3.Connection], sqlite3.Cursor] = Plain) -> Any:
            cursor = super().cursor(factory)
            cursor.__class__ = counting(type(cursor))
            return cursor

        def execute(self, sql: str, *args: Any) -> Any:
            return self.cursor().execute(sql, *args)

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        if busy_seconds is not None:
            kwargs["timeout"] = busy_seconds
        return real_connect(*args, **{**kwargs, "factory": Connection})

    sqlite3.connect = connect
