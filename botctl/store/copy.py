"""All rows of one database into another, of either kind: in one transaction, and compared before it is kept."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee
from peewee import BooleanField, FloatField, IntegerField, Model

from botctl.domain.errors import BotError, Refused, WrongDatabase
from botctl.store.models import TABLES, DatabaseInfo, SystemConfig, database
from botctl.store.postgres import SNAPSHOT, ServerDatabase
from botctl.store.sqlite import Database

OpenDatabase = Database | ServerDatabase

BATCH = 500
"""Rows that travel together."""
MADE_WITH_IT = (DatabaseInfo, SystemConfig)
"""What `init` fills: a database where only these have rows is still empty."""


@dataclass(frozen=True)
class CopiedTable:
    """A table that is the same in two databases: its rows, and the SHA-256 of all their values."""

    table: str
    rows: int
    checksum: str


def copy_open_database(target: OpenDatabase, name: object) -> list[CopiedTable]:
    """Copy every row of the open database into the empty one that `name` says; nobody writes to either meanwhile.

    The tables are made where there are none. All of it is kept or nothing. Raises Refused when the target has rows of
    its own, WrongDatabase when it is of another mode, schema or program, BotError otherwise.
    """
    with (
        database.obj.without_idle_timeout(),
        target.without_idle_timeout(),
        database.atomic("IMMEDIATE"),
        target.atomic("IMMEDIATE"),
    ):
        _make_ready(target, name)
        return _pour(target)


def copy_into_file(path: Path) -> None:
    """Copy the open database as it is at this moment into a new SQLite file; keeps nobody from writing meanwhile."""
    target = Database(str(path), pragmas={"synchronous": "full", "foreign_keys": 1})
    try:
        with database.obj.without_idle_timeout(), database.atomic(SNAPSHOT), target.atomic("IMMEDIATE"):
            _make_tables(target)
            _pour(target)
    finally:
        target.close()


def _make_ready(target: OpenDatabase, name: object) -> None:
    there = set(target.get_tables())
    if not there:
        _make_tables(target)
        return
    if not {table._meta.table_name for table in TABLES} <= there:
        raise WrongDatabase(f"{name} is no botctl database of this version", hint="name an empty one")
    found = _run(target, "SELECT mode, schema_version FROM stamp").fetchall()
    ours = database.execute_sql("SELECT mode, schema_version FROM stamp").fetchall()
    if found and found != ours:
        mode, schema = found[0]
        raise WrongDatabase(f"{name} is a {mode} database with schema {schema}", hint="name an empty one")
    for table in TABLES:
        of = table._meta.table_name
        if table not in MADE_WITH_IT and _run(target, f'SELECT 1 FROM "{of}" LIMIT 1').fetchone():
            raise Refused(f"{name} is not empty: its table {of} has rows", hint="name an empty database")
    for table in MADE_WITH_IT:
        _run(target, f'DELETE FROM "{table._meta.table_name}"')


def _make_tables(target: OpenDatabase) -> None:
    bound: AbstractContextManager[object] = target.bind_ctx(TABLES)
    with bound:
        target.create_tables(TABLES)


def _pour(target: OpenDatabase) -> list[CopiedTable]:
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


def _pour_table(table: type[Model], target: OpenDatabase) -> CopiedTable:
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
    target.advance_id_sequence(name)
    return CopiedTable(name, total, digest.hexdigest())


def _sum_of(table: type[Model], source: OpenDatabase) -> CopiedTable:
    total, digest = 0, hashlib.sha256()
    for rows in _batches(table, source):
        total += len(rows)
        for row in rows:
            digest.update(repr(row).encode("utf-8", "backslashreplace"))
    return CopiedTable(table._meta.table_name, total, digest.hexdigest())


def _batches(table: type[Model], source: OpenDatabase) -> Iterator[list[tuple[Any, ...]]]:
    """All rows by their ids, with each value as both kinds of database keep it."""
    listed = ", ".join(f'"{column}"' for column in _columns(table))
    query = f'SELECT {listed} FROM "{table._meta.table_name}" WHERE id > {source.param} ORDER BY id LIMIT {BATCH}'
    last = -(2**31)
    while rows := _run(source, query, (last,)).fetchall():
        last = rows[-1][0]
        yield [_as_kept(table, row) for row in rows]


def _run(where: OpenDatabase, statement: str, values: Sequence[Any] = ()) -> Any:
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
