"""PostgreSQL: connections with time limits, transactions like SQLite's, and errors translated into our own.

One connection is used for a whole run: it writes the journal and holds the run's lock. So a run that has lost its lock
can't commit that an order is about to be sent. The connection is never reopened.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from peewee import PostgresqlDatabase, Psycopg3Adapter

from botctl.domain.configuration.database_url import ServerUrl, without_password
from botctl.domain.errors import BotError, Busy, ConfigError, DatabaseUnreachable

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
IDLE_TRANSACTION_SECONDS = 30
"""How long a host that freezes in a transaction can lock out the others."""
SILENCE_SECONDS = 30
"""After so long without a response client and server drop the connection."""

MAX_NAME = 28
"""Of `botctl` and the host's name. PostgreSQL cuts a session's name after 63 bytes, and a run adds its command."""

SNAPSHOT = "SNAPSHOT"
"""A kind of transaction, besides those of SQLite."""
RUN_LOCK, WRITE_LOCK = 0x626F7463, 0x626F7464
"""The first halves of the advisory locks' keys; the second is the hash of the schema's name."""

# A client lost by a power cut or a cable must be noticed soon: until then its lock is held.
CLIENT_OPTIONS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": SILENCE_SECONDS // 3,
    "keepalives_interval": SILENCE_SECONDS // 3,
    "keepalives_count": 2,
    "tcp_user_timeout": SILENCE_SECONDS * 1000,
    "client_encoding": "utf8",
    "target_session_attrs": "read-write",
}
SESSION_SETTINGS = {
    "synchronous_commit": "on",  # an order must be on disk before it is sent
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
    "idle_session_timeout": "0",  # a run that waits for the exchange must keep its lock
    "tcp_keepalives_idle": str(SILENCE_SECONDS // 3),
    "tcp_keepalives_interval": str(SILENCE_SECONDS // 3),
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": f"{SILENCE_SECONDS}s",
}

TEMPORARY = re.compile(
    "refused|timeout|timed out|starting up|shutting down|recovery|too many|remaining connection slots|closed the "
    "connection|reset by peer|unreachable|no route|not accepting|broken pipe|no such file",
    re.IGNORECASE,
)
"""Messages of a server that is unavailable for now. Every other failure to connect is one of the settings."""


class ServerDatabase(PostgresqlDatabase):
    """peewee's PostgreSQL with our errors. A violated constraint stays peewee's IntegrityError."""

    # As on SQLite: text sorts by bytes, and floats have 64 bits. PostgreSQL's REAL has 32 and would change a stop.
    field_types = {  # noqa: RUF012 - peewee's own way
        **PostgresqlDatabase.field_types,
        "TEXT": 'TEXT COLLATE "C"',
        "FLOAT": "DOUBLE PRECISION",
    }

    def __init__(self, url: ServerUrl, tables: tuple[str, ...], lock_seconds: float) -> None:
        """`tables` are locked for other writers while an order is recorded; `lock_seconds` is how long a statement
        waits for a lock."""
        self.url = url
        self.tables = tables
        self.lock_seconds = lock_seconds
        self.holds_lock = False
        self.psycopg2_adapter = self.psycopg3_adapter = _driver(url)
        super().__init__(url.reveal(), autoconnect=False)

    def open(self) -> None:
        """Connect, and check schema and encoding. Raises ConfigError, DatabaseUnreachable."""
        self.connect()
        cursor = self.cursor()
        cursor.execute("SELECT current_schema(), current_setting('server_encoding')")
        schema, encoding = cursor.fetchone()
        if schema is None or encoding != "UTF8":
            self.close()
            problem = f"its encoding is {encoding}" if schema else "no schema in its search_path exists"
            hint = "create a database with ENCODING 'UTF8' for botctl"
            raise ConfigError(f"{self.url} can't be used: {problem}", hint=hint)

    def cursor(self, named_cursor: str | None = None) -> Any:
        """A broken connection is not reopened: another run may have its lock by now."""
        import psycopg

        try:
            return super().cursor(named_cursor)  # type: ignore[no-untyped-call]
        except psycopg.Error as error:
            raise explain_server_error(error, self.url, lost=True) from error

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. "IMMEDIATE" as on SQLite: until it ends no other run writes, and no client to `tables`,
        so that the switch it reads is still the same when it commits. Readers are not locked out.

        SNAPSHOT reads the state of one moment, and locks nothing.
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
        # Missing tables are left out: without the switch's table stops must still be sold.
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY(%s)",
            (list(self.tables),),
        )
        existing = {name for (name,) in cursor.fetchall()}
        names = ", ".join(f'"{name}"' for name in self.tables if name in existing)
        if names:
            cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def commit(self) -> None:
        self.cursor().execute("COMMIT")

    def rollback(self) -> None:
        """After a broken connection the server rolls back by itself: an error here would hide the first one."""
        try:
            self.cursor().execute("ROLLBACK")
        except BotError:
            with suppress(Exception):
                self.connection().close()  # type: ignore[no-untyped-call]

    def _close(self, conn: Any) -> None:
        """Release the lock before closing: the server may take a moment to notice the end of a connection."""
        if self.holds_lock:
            with suppress(Exception):
                conn.execute("SELECT pg_advisory_unlock_all()")
            self.holds_lock = False
        conn.close()

    @contextmanager
    def without_idle_timeout(self) -> Iterator[None]:
        """Let transactions idle in the block, while another database is read or written."""
        set_timeout = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"
        self.cursor().execute(set_timeout, ("0",))
        try:
            yield
        finally:
            with suppress(BotError):
                self.cursor().execute(set_timeout, (f"{IDLE_TRANSACTION_SECONDS}s",))

    def copy_tables_to_schema(self, schema: str) -> None:
        """In the caller's transaction. An existing schema stays."""
        cursor = self.cursor()
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
        if cursor.fetchone():
            return
        cursor.execute(f'CREATE SCHEMA "{schema}"')
        for name in self.get_tables():
            cursor.execute(f'CREATE TABLE "{schema}"."{name}" AS TABLE "{name}"')

    def advance_id_sequence(self, table: str) -> None:
        """Continue after the highest id once rows were inserted with ids."""
        self.cursor().execute(
            f"""SELECT setval(pg_get_serial_sequence('"{table}"', 'id'), (SELECT max(id) FROM "{table}"))"""
            f""" WHERE EXISTS (SELECT 1 FROM "{table}")"""
        )


def _driver(url: ServerUrl) -> type[Psycopg3Adapter]:
    """psycopg, which `_fast_imports` keeps peewee from loading. Raises ConfigError if it is not installed."""
    try:
        import psycopg
        from psycopg.pq import TransactionStatus
    except ImportError as error:
        problem = "DATABASE_URL names a PostgreSQL server, and its driver is not installed"
        raise ConfigError(problem, hint="pip install 'botctl[postgres]'") from error

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
            """It was imported above."""

        def connect(self, db: ServerDatabase, **_: Any) -> "psycopg.Connection[Any]":
            return connect(url, db.lock_seconds, Cursor)

    return Adapter


def connect(url: ServerUrl, lock_seconds: float, cursor: "type[psycopg.Cursor[Any]]") -> "psycopg.Connection[Any]":
    """Connect in autocommit with time limits. Raises ConfigError, DatabaseUnreachable for a temporary failure."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    application = f"botctl {socket.gethostname()}"[:MAX_NAME] + f" {os.getpid()}"
    try:
        # By libpq: peewee's db_url supports neither several hosts nor a socket's folder.
        from_url = conninfo_to_dict(url.reveal())
        settings = {**SESSION_SETTINGS, "lock_timeout": f"{1000 * lock_seconds:.0f}ms"}
        options: dict[str, Any] = {**CLIENT_OPTIONS, "application_name": application, **from_url}
        connection = psycopg.connect(**options, autocommit=True, prepare_threshold=None, cursor_factory=cursor)
        # by set_config: a pooler accepts no start-up options, and an older server has fewer settings
        connection.execute(
            "SELECT set_config(name, %s::json ->> name, false) FROM pg_settings WHERE name = ANY(%s)",
            (json.dumps(settings), list(settings)),
        )
    except psycopg.Error as error:
        raise _explain_no_connection(error, url) from error
    return connection


def _storable(params: Any) -> Any:
    """Replace NUL, which PostgreSQL can't store in text and an answer of the exchange may contain."""
    return params and [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in params]


def _explain_no_connection(error: "psycopg.Error", url: ServerUrl) -> BotError:
    text = _message_of(error, url)
    if "read-only" in text or "standby" in text:
        return ConfigError(f"{url} can only be read: {text}", hint="name the primary server in DATABASE_URL")
    if TEMPORARY.search(text):
        return DatabaseUnreachable(f"{url} can't be reached: {text}", hint="is it running? The next run tries again")
    return ConfigError(f"can't connect to {url}: {text}", hint="check DATABASE_URL, and the server's pg_hba.conf")


def explain_server_error(error: "psycopg.Error", where: ServerUrl, *, lost: bool = False) -> BotError:
    """Translate a failed statement by its SQLSTATE: messages are in the server's language."""
    import psycopg

    state, text = error.sqlstate or "", _message_of(error, where)
    if lost or state[:2] == "08" or state in ("57P01", "57P02", "57P03", "57P05", "25P03"):
        hint = "the next run goes on; is the server running?"
        return DatabaseUnreachable(f"the connection to {where} broke: {text}", hint=hint)
    if state in ("55P03", "40P01", "40001"):
        return Busy(f"{where} is locked by another process", hint="try again in a moment")
    if state == "57014":
        return DatabaseUnreachable(f"{where} took longer than {STATEMENT_SECONDS} s", hint="is the server overloaded?")
    if state[:2] == "53":
        hint = "free some disk or memory of the server"
        return DatabaseUnreachable(f"{where} is out of resources: {text}", hint=hint)
    if state == "25006":
        return ConfigError(f"{where} can only be read: {text}", hint="name the primary server in DATABASE_URL")
    if state == "42501":
        hint = "make botctl's role the owner of the database: ALTER DATABASE ... OWNER TO ..."
        return ConfigError(f"{where} refuses botctl's role: {text}", hint=hint)
    if state[:2] == "XX" and isinstance(error, psycopg.InternalError):
        return ConfigError(f"{where} is damaged ({text})", hint="restore the server's backup, then `botctl recover`")
    return BotError(f"{where} failed: {text}", hint="see `botctl doctor`")


def _message_of(error: "psycopg.Error", url: ServerUrl) -> str:
    """The driver's message on one line, without the password."""
    text = " ".join((error.diag.message_primary or str(error)).split())
    for secret in url.secrets:
        if len(secret) > 2:
            text = text.replace(secret, "***")
    return without_password(text)[:300]
