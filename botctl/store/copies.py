"""All rows of one database into another, of either kind: in one transaction, and compared before it is kept."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee
from peewee import BooleanField, FloatField, IntegerField, Model

from botctl.domain.database_url import ServerUrl
from botctl.domain.errors import BotError, ConfigError, Refused, WrongDatabase
from botctl.store.database import Where, make_private_file, server_database
from botctl.store.door import DATABASE_ERRORS, Database, explain
from botctl.store.lock import process_lock
from botctl.store.models import TABLES, Stamp, SystemConfig, database

BATCH = 500
"""Rows that travel together."""
MADE_WITH_IT = (Stamp, SystemConfig)
"""What `init` fills: a database where only these have rows is still empty."""


@dataclass(frozen=True)
class TableCopy:
    """One table that was copied: its rows in both, and the SHA-256 of all their values, which is the same in both."""

    table: str
    rows: int
    checksum: str


def copy_open_database(to: Where, *, wait_seconds: float) -> list[TableCopy]:
    """Copy every row of the open database into the empty one at `to`; nobody writes to either meanwhile.

    The tables are made where there are none. All of it is kept or nothing. Raises Refused when `to` has rows of its
    own, WrongDatabase when it is of another mode, schema or program, Busy when a run works there, BotError otherwise.
    """
    with (
        _opened(to, wait_seconds) as target,
        _patient(database.obj),
        _patient(target),
        database.atomic("IMMEDIATE"),
        target.atomic("IMMEDIATE"),
    ):
        _make_ready(target, to)
        return _pour(target)


def copy_into_file(path: Path) -> None:
    """Copy the open database as it is at this moment into a new SQLite file; keeps nobody from writing meanwhile."""
    from botctl.store.server import SNAPSHOT

    target = Database(str(path), pragmas={"synchronous": "full", "foreign_keys": 1})
    try:
        with _patient(database.obj), database.atomic(SNAPSHOT), target.atomic("IMMEDIATE"):
            _make_tables(target)
            _pour(target)
    finally:
        target.close()


@contextmanager
def _opened(where: Where, wait_seconds: float) -> Iterator[peewee.Database]:
    """The other database, under its own lock. A file that was made for a copy that failed goes again."""
    if isinstance(where, ServerUrl):
        from botctl.store.server import advisory_lock

        server = server_database(where)
        server.open()
        try:
            with advisory_lock(server, wait_seconds):
                yield server
        finally:
            server.close()
        return
    existed, done = where.exists(), False
    with process_lock(where.with_name(f"{where.name}.lock"), wait_seconds):
        try:
            make_private_file(where)
            pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1}
            file = Database(str(where), pragmas=pragmas, timeout=10)
            try:
                yield file
                done = True
            finally:
                file.close()
        except OSError as error:
            raise ConfigError(f"can't write {where}: {error.strerror}", hint="check the folder and the disk") from error
        except DATABASE_ERRORS as error:
            raise explain(error, where) from error
        finally:
            if not existed and not done:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{where}{suffix}").unlink(missing_ok=True)


def _patient(where: Any) -> AbstractContextManager[object]:
    """A server ends a transaction that idles, which this one does while the other database is at work."""
    patience: AbstractContextManager[object] = nullcontext() if isinstance(where, Database) else where.patient()
    return patience


def _make_ready(target: peewee.Database, where: Where) -> None:
    there = set(target.get_tables())
    if not there:
        _make_tables(target)
        return
    if not {table._meta.table_name for table in TABLES} <= there:
        raise WrongDatabase(f"{where} is no botctl database of this version", hint="name an empty one")
    found = _run(target, "SELECT mode, schema_version FROM stamp").fetchall()
    ours = database.execute_sql("SELECT mode, schema_version FROM stamp").fetchall()
    if found and found != ours:
        mode, schema = found[0]
        raise WrongDatabase(f"{where} is a {mode} database with schema {schema}", hint="name an empty one")
    for table in TABLES:
        name = table._meta.table_name
        if table not in MADE_WITH_IT and _run(target, f'SELECT 1 FROM "{name}" LIMIT 1').fetchone():
            raise Refused(f"{where} is not empty: its table {name} has rows", hint="name an empty database")
    for table in MADE_WITH_IT:
        _run(target, f'DELETE FROM "{table._meta.table_name}"')


def _make_tables(target: peewee.Database) -> None:
    bound: AbstractContextManager[object] = target.bind_ctx(TABLES)
    with bound:
        target.create_tables(TABLES)


def _pour(target: peewee.Database) -> list[TableCopy]:
    """Every row of the open database into the tables of `target`, then read again from there and compared."""
    copied = [_pour_table(table, target) for table in TABLES]
    for before in copied:
        [table] = [table for table in TABLES if table._meta.table_name == before.table]
        after = _sum_of(table, target)
        if after != before:
            raise BotError(
                f"the copy of table {before.table} differs: {before.rows} rows became {after.rows}, or their values "
                "changed",
                hint="nothing was kept; please report it",
            )
    return copied


def _pour_table(table: type[Model], target: peewee.Database) -> TableCopy:
    name, columns = table._meta.table_name, _columns(table)
    listed = ", ".join(f'"{column}"' for column in columns)
    row_of_marks = f"({', '.join([target.param] * len(columns))})"
    total, digest = 0, hashlib.sha256()
    for rows in _batches(table, database.obj):
        for row in rows:
            digest.update(repr(row).encode("utf-8", "backslashreplace"))
        values = [value for row in rows for value in row]
        _run(target, f'INSERT INTO "{name}" ({listed}) VALUES {", ".join([row_of_marks] * len(rows))}', values)
        total += len(rows)
    if not isinstance(target, Database):
        target.heed_ids(name)  # type: ignore[attr-defined]
    return TableCopy(name, total, digest.hexdigest())


def _sum_of(table: type[Model], source: peewee.Database) -> TableCopy:
    total, digest = 0, hashlib.sha256()
    for rows in _batches(table, source):
        total += len(rows)
        for row in rows:
            digest.update(repr(row).encode("utf-8", "backslashreplace"))
    return TableCopy(table._meta.table_name, total, digest.hexdigest())


def _batches(table: type[Model], source: peewee.Database) -> Iterator[list[tuple[Any, ...]]]:
    """All rows by their ids, with each value as both kinds of database keep it."""
    listed = ", ".join(f'"{column}"' for column in _columns(table))
    query = f'SELECT {listed} FROM "{table._meta.table_name}" WHERE id > {source.param} ORDER BY id LIMIT {BATCH}'
    last = -(2**31)
    while rows := _run(source, query, (last,)).fetchall():
        last = rows[-1][0]
        yield [_as_kept(table, row) for row in rows]


def _run(where: peewee.Database, statement: str, values: Sequence[Any] = ()) -> Any:
    return where.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def _columns(table: type[Model]) -> list[str]:
    """The id first."""
    names: list[str] = [field.column_name for field in table._meta.sorted_fields]
    return names


def _as_kept(table: type[Model], row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite has 0 and 1 for false and true, may hold a whole number among floats, and text with a NUL in it."""
    values: list[Any] = []
    for field, value in zip(table._meta.sorted_fields, row, strict=True):
        try:
            if value is None:
                values.append(None)
            elif isinstance(field, BooleanField):
                values.append(bool(value))
            elif isinstance(field, FloatField):
                values.append(float(value))
            elif isinstance(field, IntegerField | peewee.ForeignKeyField):
                values.append(int(value))
            else:
                values.append(str(value).replace("\0", "\ufffd"))
        except (TypeError, ValueError):
            where = f"{table._meta.table_name} {row[0]}"
            raise BotError(f"{where} has {value!r:.40} as {field.column_name}", hint="see `botctl db check`") from None
    return tuple(values)
