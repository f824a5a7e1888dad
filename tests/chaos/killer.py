"""Ends this very process with SIGKILL at the n-th database commit, before it or right after it.

Commits are found by watching SQLite itself, not from a list: every statement that changes something outside a
transaction commits, and so does every COMMIT.
"""

import os
import signal
import sqlite3
from typing import Any

CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE", "REPLACE")
real_connect = sqlite3.connect


class Countdown:
    """Counts commits, and kills at the chosen one."""

    def __init__(self, when: str, number: int) -> None:
        self.when = when
        self.left = number

    def passes(self, when: str) -> None:
        if when != self.when:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(when: str, number: int) -> None:
    """Kill this process `before` or `after` its `number`-th commit (from 1)."""
    countdown = Countdown(when, number)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> "Cursor":
            word = sql.lstrip().split(" ", 1)[0].upper().rstrip(";")
            commits = word == "COMMIT" or (word in CHANGES and not self.connection.in_transaction)
            if commits:
                countdown.passes("before")
            super().execute(sql, *args)
            if commits:
                countdown.passes("after")
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, *args: Any) -> Cursor:  # type: ignore[override]
            return super().cursor(Cursor)

        def execute(self, sql: str, *args: Any) -> Cursor:
            return self.cursor().execute(sql, *args)

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return real_connect(*args, **{**kwargs, "factory": Connection})

    sqlite3.connect = connect
