"""Inserts and updates of many rows with one prepared statement."""

from collections.abc import Iterable, Sequence
from typing import Any

from peewee import Field

from botctl.store.models import Table, database


def insert_rows(table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that have the same columns. The caller holds the transaction."""
    if not rows:
        return
    fields = [table._meta.fields[name] for name in rows[0]]
    names = ", ".join(f'"{field.column_name}"' for field in fields)
    placeholders = ", ".join([database.param] * len(fields))
    statement = f'INSERT INTO "{table._meta.table_name}" ({names}) VALUES ({placeholders})'
    database.cursor().executemany(statement, [_values(fields, row.values()) for row in rows])


def update_rows(table: type[Table], rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Update the same columns of rows, by id. The caller holds the transaction."""
    if not rows:
        return
    fields = [table._meta.fields[name] for name in rows[0][1]]
    changes = ", ".join(f'"{field.column_name}" = {database.param}' for field in fields)
    statement = f'UPDATE "{table._meta.table_name}" SET {changes} WHERE "id" = {database.param}'
    database.cursor().executemany(statement, [(*_values(fields, row.values()), key) for key, row in rows])


def _values(fields: "Sequence[Field[Any]]", values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(field.db_value(value) for field, value in zip(fields, values, strict=True))  # type: ignore[no-untyped-call]
