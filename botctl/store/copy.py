"""Copies all rows of one database into another, of either kind, in one transaction that compares them before commit."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee
from peewee import BooleanField, FloatField, IntegerField, Model

from botctl.domain.errors import BotError, Refused, WrongDatabase
from botctl.store.models import TABLES, DatabaseInfo, KeyValue, SystemConfig, database
from botctl.store.server.postgres import SNAPSHOT, ServerDatabase
from botctl.store.sqlite import Database

OpenDatabase = Database | ServerDatabase

BATCH = 500
FILLED_BY_INIT = (DatabaseInfo, SystemConfig, KeyValue)
"""A database where only these tables have rows counts as empty."""


@dataclass(frozen=True)
class CopiedTable:
    """A table that is the same in both databases: its rows, and the SHA-256 of all their values."""

    table: str
    rows: int
    checksum: str


def copy_open_database(target: OpenDatabase, name: object) -> list[CopiedTable]:
    """Copy every row of the open database into the empty database `name`; both are locked for other writers.

    Missing tables are created. All rows are committed or none. Raises Refused when the target has rows of its own,
    WrongDatabase when it is of another mode, schema or program, BotError otherwise.
    """
    with (
        database.obj.without_idle_timeout(),
        target.without_idle_timeout(),
        database.atomic("IMMEDIATE"),
        target.atomic("IMMEDIATE"),
    ):
        _prepare(target, name)
        return _copy_rows(target)


def copy_into_file(path: Path) -> None:
    """Copy a snapshot of the open database into a new SQLite file. Other writers are not locked out."""
    target = Database(str(path), pragmas={"synchronous": "full", "foreign_keys": 1})
    try:
        with database.obj.without_idle_timeout(), database.atomic(SNAPSHOT), target.atomic("IMMEDIATE"):
            _create_tables(target)
            _copy_rows(target)
    finally:
        target.close()


def _prepare(target: OpenDatabase, name: object) -> None:
    """Create the tables, or empty those that `init` fills."""
    tables = set(target.get_tables())
    if not tables:
        _create_tables(target)
        return
    if not {table._meta.table_name for table in TABLES} <= tables:
        raise WrongDatabase(f"{name} is not a botctl database of this version", hint="name an empty one")
    info = _run(target, "SELECT mode, schema_version FROM stamp").fetchall()
    if info and info != database.execute_sql("SELECT mode, schema_version FROM stamp").fetchall():
        mode, schema = info[0]
        raise WrongDatabase(f"{name} is a {mode} database with schema {schema}", hint="name an empty one")
    for table in TABLES:
        table_name = table._meta.table_name
        if table not in FILLED_BY_INIT and _run(target, f'SELECT 1 FROM "{table_name}" LIMIT 1').fetchone():
            raise Refused(f"{name} is not empty: its table {table_name} has rows", hint="name an empty database")
    for table in FILLED_BY_INIT:
        _run(target, f'DELETE FROM "{table._meta.table_name}"')


def _create_tables(target: OpenDatabase) -> None:
    with target.bind_ctx(TABLES):
        target.create_tables(TABLES)


def _copy_rows(target: OpenDatabase) -> list[CopiedTable]:
    """Copy every table, then read each again from `target` and compare."""
    written = [_copy_table(table, target) for table in TABLES]
    for table, copied in zip(TABLES, written, strict=True):
        stored = _read_checksum(table, target)
        if stored != copied:
            problem = f"{copied.rows} rows became {stored.rows}, or their values changed"
            hint = "nothing was kept; please report it"
            raise BotError(f"the copy of table {copied.table} differs: {problem}", hint=hint)
    return written


def _copy_table(table: type[Model], target: OpenDatabase) -> CopiedTable:
    name, columns = table._meta.table_name, _columns(table)
    listed = ", ".join(f'"{column}"' for column in columns)
    placeholders = f"({', '.join([target.param] * len(columns))})"
    total, digest = 0, hashlib.sha256()
    for rows in _batches(table, database.obj):
        digest.update(_encode(rows))
        values = [value for row in rows for value in row]
        _run(target, f'INSERT INTO "{name}" ({listed}) VALUES {", ".join([placeholders] * len(rows))}', values)
        total += len(rows)
    target.advance_id_sequence(name)
    return CopiedTable(name, total, digest.hexdigest())


def _read_checksum(table: type[Model], source: OpenDatabase) -> CopiedTable:
    total, digest = 0, hashlib.sha256()
    for rows in _batches(table, source):
        digest.update(_encode(rows))
        total += len(rows)
    return CopiedTable(table._meta.table_name, total, digest.hexdigest())


def _encode(rows: Sequence[tuple[Any, ...]]) -> bytes:
    return "".join(map(repr, rows)).encode("utf-8", "backslashreplace")


def _batches(table: type[Model], source: OpenDatabase) -> Iterator[list[tuple[Any, ...]]]:
    """All rows by id, with each value as both kinds of database store it."""
    listed = ", ".join(f'"{column}"' for column in _columns(table))
    query = f'SELECT {listed} FROM "{table._meta.table_name}" WHERE id > {source.param} ORDER BY id LIMIT {BATCH}'
    last = -(2**31)
    while rows := _run(source, query, (last,)).fetchall():
        last = rows[-1][0]
        yield [_normalize(table, row) for row in rows]


def _run(target: OpenDatabase, statement: str, values: Sequence[Any] = ()) -> Any:
    return target.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def _columns(table: type[Model]) -> list[str]:
    """The id first."""
    return [field.column_name for field in table._meta.sorted_fields]


def _normalize(table: type[Model], row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite stores booleans as 0 and 1, may store a float as an integer, and allows NUL in text."""
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
