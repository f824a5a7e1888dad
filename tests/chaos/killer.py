"""Ends this very process with a signal at the n-th database commit, before it or right after it.

Commits are found by watching SQLite itself, not from a list: every statement that changes something outside a
transaction commits, and so does every COMMIT.
"""

import os
import signal
import sqlite3
from typing import Any

CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE", "REPLACE", "ALTER", "DROP")
real_connect = sqlite3.connect


class Countdown:
    """Counts commits, and ends the process at the chosen one."""

    def __init__(self, when: str, number: int, signal_number: int) -> None:
        self.when = when
        self.number = number
        self.signal_number = signal_number
        self.commits = 0

    def before(self) -> None:
        self.commits += 1
        self._end_at("before")

    def after(self) -> None:
        self._end_at("after")

    def _end_at(self, when: str) -> None:
        if when == self.when and self.commits == self.number:
            os.kill(os.getpid(), self.signal_number)


def arm(when: str = "", number: int = 0, signal_number: int = signal.SIGKILL) -> Countdown:
    """Count this process's commits, and end it `before` or `after` its `number`-th one (from 1; 0 only counts)."""
    countdown = Countdown(when, number, signal_number)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> "Cursor":
            word = sql.lstrip().split(" ", 1)[0].upper().rstrip(";")
            commits = word == "COMMIT" or (word in CHANGES and not self.connection.in_transaction)
            if commits:
                countdown.before()
            super().execute(sql, *args)
            if commits:
                countdown.after()
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, *args: Any) -> Cursor:  # type: ignore[override]
            return super().cursor(Cursor)

        def execute(self, sql: str, *args: Any) -> Cursor:
            return self.cursor().execute(sql, *args)

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return real_connect(*args, **{**kwargs, "factory": Connection})

    sqlite3.connect = connect
    return countdown
