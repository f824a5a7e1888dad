"""The lock of a run on a PostgreSQL server: the session that holds it says who it is, and can be ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botctl.domain.errors import BotError, ConfigError
from botctl.domain.text import sanitize
from botctl.run_lock import LockHeld, LockHolder, NotEnded, this_command
from botctl.store.server.postgres import RUN_LOCK, ServerDatabase

LOCK = f"{RUN_LOCK}, hashtext(current_schema())"
HOLDER = f"""
    SELECT activity.pid, activity.application_name, activity.backend_start::text,
           extract(epoch FROM activity.backend_start)::float8, extract(epoch FROM clock_timestamp())::float8
      FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND classid = {RUN_LOCK}::bigint::oid
       AND objid = (hashtext(current_schema())::bigint & 4294967295)::oid
       AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
MAX_NAME_BYTES = 63
"""PostgreSQL cuts a longer application_name."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class SessionHolder(LockHolder):
    """A session of the server that holds the lock."""

    session: int
    """The server's process."""
    session_since: str
    """Tells it from a later one with the same number; empty when the server does not show it to this role."""


@contextmanager
def advisory_lock(database: ServerDatabase, wait_seconds: float) -> Iterator[None]:
    """Hold the run's lock of this database, on its open connection, under the name of this run.

    Waits up to `wait_seconds` for another run to end, then raises LockHeld. When this process or its machine dies, the
    server releases the lock.
    """
    _wait_for_lock(database, wait_seconds)
    database.holds_lock = True
    try:
        _sign(database)
        yield
    finally:
        if not database.is_closed():
            with suppress(BotError):
                _query(database, f"SELECT pg_advisory_unlock({LOCK})")
            database.holds_lock = False


def _wait_for_lock(database: ServerDatabase, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while not _query(database, f"SELECT pg_try_advisory_lock({LOCK})")[0]:
        if time.monotonic() >= end:
            raise LockHeld(find_session(database))
        time.sleep(min(0.2, wait_seconds))


def _sign(database: ServerDatabase) -> None:
    """Put what this run does, and since when by the server's clock, into the name that others see of the session.

    Whole seconds, rounded down: with a time that is yet to come, a run that hangs would look younger than it is.
    """
    with suppress(BotError):
        _query(
            database,
            "SELECT set_config('application_name', replace(current_setting('application_name'), 'botctl ',"
            " 'botctl ' || %s || '@' || floor(extract(epoch FROM clock_timestamp())) || ' '), false)",
            this_command() or "run",
        )


def find_session(database: ServerDatabase) -> SessionHolder | None:
    """Who holds the lock, as far as the server shows it to this role; None for nobody."""
    row = _query(database, HOLDER)
    if row is None:
        return None
    session, name, session_since, began, now = row
    command, at, pid, host = _parse_name(name or "")
    since = min(float(at or began or now), now)
    known = at is not None or began is not None
    return SessionHolder(
        command, pid, host, datetime.fromtimestamp(since, UTC) if known else None,
        now - since if known else None, session, session_since or "",
    )  # fmt: skip


def _parse_name(name: str) -> tuple[str, int | None, int | None, str]:
    """Command, time, process and host of a run's session, such as `botctl tick@1764209700 host 4242`."""
    words = name.split()
    if len(words) < 3 or words[0] != "botctl" or not words[-1].isdecimal():
        return "", None, None, sanitize(f"session {name!r}", 80) if name else ""
    command, _, at = words[1].partition("@")
    if not at.isdecimal():
        return "", None, int(words[-1]), sanitize(" ".join(words[1:-1]), 80)
    return sanitize(command, 30), int(at), int(words[-1]), sanitize(" ".join(words[2:-1]), 80)


def end_session(database: ServerDatabase, holder: SessionHolder) -> None:
    """End the session that holds the lock, if it still does: the server then rolls back what it has begun, and frees
    the lock. Raises NotEnded."""
    now = find_session(database)
    if now is None or (now.session, now.session_since) != (holder.session, holder.session_since):
        return
    by_hand = f"let its role or an administrator run SELECT pg_terminate_backend({holder.session})"
    try:
        _query(database, "SELECT pg_terminate_backend(%s)", holder.session)
    except ConfigError as error:  # the role lacks the right
        raise NotEnded(holder, f"its session belongs to another role ({error.message})", hint=by_hand) from error
    for _ in range(100):
        left = find_session(database)
        if left is None or left.session != holder.session:
            return
        time.sleep(POLL_SECONDS)
    raise NotEnded(holder, "the server does not end its session", hint=by_hand)


def _query(database: ServerDatabase, statement: str, *values: Any) -> Any:
    """The first row of the answer; None without one."""
    return database.execute_sql(statement, values).fetchone()  # type: ignore[no-untyped-call]
