"""The door of PostgreSQL: connections with time limits, transactions like SQLite's, and errors that are our own.

One connection serves a whole run: it writes the journal and holds the run's lock. So a run that has lost its lock has
lost its journal too, and can't commit that an order is about to leave. It is never opened a second time.
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from peewee import PostgresqlDatabase, Psycopg3Adapter

from botctl.domain.database_url import ServerUrl, without_password
from botctl.domain.errors import BotError, Busy, ConfigError, DatabaseUnreachable

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
"""How long any statement may take."""
IDLE_TRANSACTION_SECONDS = 30
"""A host that freezes in the middle of a transaction keeps the others from writing for so long, and no longer."""
SILENCE_SECONDS = 30
"""After so long without a sign of life the server gives up a client, and a client the server."""

SNAPSHOT = "SNAPSHOT"
"""A kind of transaction, beside SQLite's own words."""
RUN_LOCK, WRITE_LOCK = 0x626F7463, 0x626F7464
"""The first halves of our advisory locks' keys; the second is made of the schema's name."""

# Whoever dies without a word (a power cut, a cable) must be noticed soon: until then its lock is held.
_OF_THE_CLIENT = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": SILENCE_SECONDS // 3,
    "keepalives_interval": SILENCE_SECONDS // 3,
    "keepalives_count": 2,
    "tcp_user_timeout": SILENCE_SECONDS * 1000,
    "client_encoding": "utf8",
    "target_session_attrs": "read-write",
}
_OF_THE_SESSION = {
    "synchronous_commit": "on",  # what an order stands on must be on disk
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
    "idle_session_timeout": "0",  # a run waits for the exchange now and then, and must keep its lock
    "tcp_keepalives_idle": str(SILENCE_SECONDS // 3),
    "tcp_keepalives_interval": str(SILENCE_SECONDS // 3),
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": f"{SILENCE_SECONDS}s",
}

PASSING = re.compile(
    "refused|timeout|timed out|starting up|shutting down|recovery|too many|remaining connection slots|closed the "
    "connection|reset by peer|unreachable|no route|not accepting|broken pipe|no such file",
    re.IGNORECASE,
)
"""What is said by a server that is away for now. Everything else that keeps us from connecting is in the settings."""


class ServerDatabase(PostgresqlDatabase):
    """peewee's PostgreSQL, whose errors are ours. A broken rule of the tables stays peewee's own IntegrityError."""

    # SQLite compares text byte by byte, where other collations would sort the same rows otherwise; and its REAL has 64
    # bits, where that of PostgreSQL has 32 and would move a stop.
    field_types = {  # noqa: RUF012 - peewee's own way
        **PostgresqlDatabase.field_types,
        "TEXT": 'TEXT COLLATE "C"',
        "FLOAT": "DOUBLE PRECISION",
    }

    def __init__(self, url: ServerUrl, tables: tuple[str, ...], lock_seconds: float) -> None:
        """`tables` are those that nobody else may write to while an order is written down; `lock_seconds` is how long
        a statement waits for another run to finish writing."""
        self.url = url
        self.tables = tables
        self.lock_seconds = lock_seconds
        self.holds_lock = False
        self.psycopg2_adapter = self.psycopg3_adapter = _driver(url)
        super().__init__(url.reveal(), autoconnect=False)

    def open(self) -> None:
        """Connect, and look whether botctl can live there. Raises ConfigError, DatabaseUnreachable."""
        self.connect()
        cursor = self.cursor()
        cursor.execute("SELECT current_schema(), current_setting('server_encoding')")
        schema, encoding = cursor.fetchone()
        if schema is None or encoding != "UTF8":
            self.close()
            problem = f"its encoding is {encoding}" if schema else "its search_path names no schema that is there"
            raise ConfigError(f"{self.url} can't be used: {problem}", hint="make one with ENCODING 'UTF8' for botctl")

    def cursor(self, named_cursor: str | None = None) -> Any:
        """A connection that broke is not made again: the lock it held is gone, and perhaps another run's."""
        import psycopg

        try:
            return super().cursor(named_cursor)  # type: ignore[no-untyped-call]
        except psycopg.Error as error:
            raise explain_server_error(error, self.url, lost=True) from error

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. "IMMEDIATE" as on SQLite: no other run writes until it ends, nobody at all to `tables`.

        So what it reads, such as the switch, still holds when it commits, whoever writes from wherever. Readers go on.
        SNAPSHOT reads what was there at one moment, and keeps nobody from writing.
        """
        cursor = self.cursor()
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if lock_type == SNAPSHOT else "BEGIN")
        if lock_type != "IMMEDIATE":
            return
        try:
            cursor.execute(f"SELECT pg_advisory_xact_lock({WRITE_LOCK}, hashtext(current_schema()))")
            self._lock_tables(cursor)
        except BaseException:
            self.rollback()
            raise

    def _lock_tables(self, cursor: Any) -> None:
        # One that is missing is another's worry: with the switch lost, stops must still be sold.
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY(%s)",
            (list(self.tables),),
        )
        there = {name for (name,) in cursor.fetchall()}
        names = ", ".join(f'"{name}"' for name in self.tables if name in there)
        if names:
            cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def commit(self) -> None:
        self.cursor().execute("COMMIT")

    def rollback(self) -> None:
        """Where the connection itself broke the server rolls back: an error here would hide the first one."""
        try:
            self.cursor().execute("ROLLBACK")
        except BotError:
            with suppress(Exception):
                self.connection().close()  # type: ignore[no-untyped-call]

    def _close(self, conn: Any) -> None:
        """Free the lock before the connection goes: the server may take a moment to notice its end."""
        if self.holds_lock:
            with suppress(Exception):
                conn.execute("SELECT pg_advisory_unlock_all()")
            self.holds_lock = False
        conn.close()

    @contextmanager
    def without_idle_timeout(self) -> Iterator[None]:
        """A transaction in the block may idle as long as it likes: another database is being read or written."""
        set_limit = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"
        self.cursor().execute(set_limit, ("0",))
        try:
            yield
        finally:
            with suppress(BotError):
                self.cursor().execute(set_limit, (f"{IDLE_TRANSACTION_SECONDS}s",))

    def keep_tables_aside(self, schema: str) -> None:
        """Copy our tables as they are into `schema`, inside the caller's transaction. One that is there stays."""
        cursor = self.cursor()
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
        if cursor.fetchone():
            return
        cursor.execute(f'CREATE SCHEMA "{schema}"')
        for name in self.get_tables():
            cursor.execute(f'CREATE TABLE "{schema}"."{name}" AS TABLE "{name}"')

    def advance_id_sequence(self, table: str) -> None:
        """Rows were written with ids of their own: the next one counts on from them."""
        self.cursor().execute(
            f"""SELECT setval(pg_get_serial_sequence('"{table}"', 'id'), (SELECT max(id) FROM "{table}"))"""
            f""" WHERE EXISTS (SELECT 1 FROM "{table}")"""
        )


def _driver(url: ServerUrl) -> type[Psycopg3Adapter]:
    """psycopg, which peewee was kept from loading. Raises ConfigError where it is not installed."""
    try:
        import psycopg
        from psycopg.pq import TransactionStatus
    except ImportError as error:
        raise ConfigError(
            "DATABASE_URL names a PostgreSQL server, and its driver is not installed",
            hint="pip install 'botctl[postgres]'",
        ) from error

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            with self._translated():
                return super().execute(query, _storable(params) or None, **options)

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
            with self._translated():
                super().executemany(query, [_storable(params) for params in params_seq], **options)

        @contextmanager
        def _translated(self) -> Iterator[None]:
            try:
                yield
            except psycopg.IntegrityError:
                raise
            except psycopg.Error as error:
                raise explain_server_error(error, url, lost=self.connection.closed) from error

    class Adapter(Psycopg3Adapter):
        txn_idle = TransactionStatus.IDLE
        txn_inerror = TransactionStatus.INERROR
        txn_unknown = TransactionStatus.UNKNOWN

        def check_driver(self) -> None:
            """It is there."""

        def connect(self, db: ServerDatabase, **_: Any) -> "psycopg.Connection[Any]":
            return connect(url, db.lock_seconds, Cursor)

    return Adapter


def connect(url: ServerUrl, lock_seconds: float, cursor: "type[psycopg.Cursor[Any]]") -> "psycopg.Connection[Any]":
    """A connection of its own, in autocommit, with all its time limits set.

    Raises ConfigError for what only other settings mend, DatabaseUnreachable for what passes.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    who = f"botctl {socket.gethostname()}"[:50] + f" {os.getpid()}"
    try:
        # libpq reads the address itself: peewee's db_url knows neither several hosts nor a socket's folder.
        given = conninfo_to_dict(url.reveal())
        wanted = {**_OF_THE_SESSION, "lock_timeout": f"{1000 * lock_seconds:.0f}ms"}
        options: dict[str, Any] = {**_OF_THE_CLIENT, "application_name": who, **given}
        connection = psycopg.connect(**options, autocommit=True, prepare_threshold=None, cursor_factory=cursor)
        # set_config, and only what this server knows: an older one has fewer, a pooler takes no start-up options
        connection.execute(
            "SELECT set_config(name, %s::json ->> name, false) FROM pg_settings WHERE name = ANY(%s)",
            (json.dumps(wanted), list(wanted)),
        )
    except psycopg.Error as error:
        raise _explain_no_connection(error, url) from error
    return connection


def _storable(params: Any) -> Any:
    """PostgreSQL keeps every character but NUL, and an answer of the exchange may hold one."""
    if not params:
        return params
    return [value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value for value in params]


def _explain_no_connection(error: "psycopg.Error", url: ServerUrl) -> BotError:
    text = _said(error, url)
    if "read-only" in text or "standby" in text:
        return ConfigError(f"{url} can only be read: {text}", hint="name the primary server in DATABASE_URL")
    if PASSING.search(text):
        return DatabaseUnreachable(f"{url} can't be reached: {text}", hint="is it running? The next run tries again")
    return ConfigError(f"can't connect to {url}: {text}", hint="check DATABASE_URL, and the server's pg_hba.conf")


def explain_server_error(error: "psycopg.Error", where: ServerUrl, *, lost: bool = False) -> BotError:
    """What a statement's failure means, with the fix. SQLSTATE decides: messages come in the server's language."""
    import psycopg

    state, text = error.sqlstate or "", _said(error, where)
    if lost or state[:2] == "08" or state in ("57P01", "57P02", "57P03", "57P05", "25P03"):
        return DatabaseUnreachable(
            f"the connection to {where} broke: {text}", hint="the next run goes on; is the server running?"
        )
    if state in ("55P03", "40P01", "40001"):
        return Busy(f"{where} is locked by another process", hint="try again in a moment")
    if state == "57014":
        return DatabaseUnreachable(f"{where} took longer than {STATEMENT_SECONDS} s", hint="is the server overloaded?")
    if state[:2] == "53":
        return DatabaseUnreachable(f"{where} is short of means: {text}", hint="free some disk or memory of the server")
    if state == "25006":
        return ConfigError(f"{where} can only be read: {text}", hint="name the primary server in DATABASE_URL")
    if state == "42501":
        hint = "make botctl's role the owner of the database: ALTER DATABASE ... OWNER TO ..."
        return ConfigError(f"{where} refuses botctl's role: {text}", hint=hint)
    if state[:2] == "XX" and isinstance(error, psycopg.InternalError):
        return ConfigError(f"{where} is damaged ({text})", hint="restore the server's backup, then `botctl recover`")
    return BotError(f"{where} failed: {text}", hint="see `botctl doctor`")


def _said(error: "psycopg.Error", url: ServerUrl) -> str:
    """The driver's words on one line, without the password."""
    text = " ".join((error.diag.message_primary or str(error)).split())
    for secret in url.secrets:
        if len(secret) > 2:
            text = text.replace(secret, "***")
    return without_password(text)[:300]


# The run's lock


@contextmanager
def advisory_lock(database: ServerDatabase, wait_seconds: float) -> Iterator[None]:
    """Hold the run's lock of this database for the length of the block, on its own open connection.

    Waits up to `wait_seconds`, then raises Busy. When this process or its machine dies, the server frees it.
    """
    _wait_for(database, wait_seconds)
    database.holds_lock = True
    try:
        yield
    finally:
        if not database.is_closed():
            with suppress(BotError):
                _ask(database, "SELECT pg_advisory_unlock(%s, hashtext(current_schema()))")
            database.holds_lock = False


def _wait_for(database: ServerDatabase, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while not _ask(database, "SELECT pg_try_advisory_lock(%s, hashtext(current_schema()))"):
        if time.monotonic() >= end:
            raise Busy(f"another run of botctl holds the lock{_holder(database)}", hint="let it end, then try again")
        time.sleep(min(0.2, wait_seconds))


def _holder(database: ServerDatabase) -> str:
    """Who has it, where the server tells: every run gives its host and process as its name."""
    name = _ask(
        database,
        "SELECT max(activity.application_name) FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND classid = %s::bigint::oid"
        " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    return f" ({name})" if name else ""


def _ask(database: ServerDatabase, question: str) -> Any:
    [answer] = database.execute_sql(question, (RUN_LOCK,)).fetchone()  # type: ignore[no-untyped-call]
    return answer
