"""What must hold in any database of ours, asked of its tables: the rows that break a rule, and there should be none."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from peewee import BooleanField, Field, FloatField, IntegerField, Model

from botctl.domain.kill_switch import ACTIVE as SWITCHED_ON
from botctl.domain.kill_switch import PAUSED
from botctl.domain.orders import ExitReason, OrderState, Side, TradeStatus
from botctl.store.database import complaint_of_open, opened_where
from botctl.store.fields import DecimalField, JsonField, UtcField
from botctl.store.migrations import SCHEMA_VERSION, load_database_info
from botctl.store.models import TABLES, Event, Order, SystemConfig, Trade, database, on_server

MOST = 5
"""Rows that are named for one broken rule."""

REQUIRED_INDEXES = {"trade": ["one_active_trade_per_asset"], "order": ["one_unsettled_order_per_trade"]}
"""The unique indexes that are no column's own."""


@dataclass(frozen=True)
class Finding:
    """One check: what it is about, and every way in which it fails; none when all is well."""

    name: str
    detail: str
    broken: tuple[str, ...] = ()
    warning: str | None = None


def examine_database() -> list[Finding]:
    """Every check of the open database. Raises BotError where it can't even be read."""
    findings = [_integrity(), _schema()]
    if findings[-1].broken:  # what reads the tables would only stumble over the same
        return findings
    checks: list[tuple[str, str, Callable[[], Iterator[str]]]] = [
        ("values", "every amount, time and detail can be read", _values),
        ("references", "every order belongs to a trade", _references),
        ("trades", "every trade is what its status says", _trades),
        ("orders", "every order is what its state says", _orders),
        ("switch", "it can be read", _switch),
        ("numbering", "new rows get numbers of their own", _numbering),
    ]
    for name, detail, check in checks:
        broken = tuple(check())
        findings.append(Finding(name, detail, broken))
        if broken and name == "values":
            break  # the rules below compare these very values
    return findings


def _integrity() -> Finding:
    complaint = complaint_of_open()
    if not on_server():
        return Finding("integrity", "SQLite finds the file sound", () if complaint is None else (complaint,))
    checksums = database.execute_sql("SHOW data_checksums").fetchone()[0]
    return Finding(
        "integrity", f"the server looks after it; checksums of its pages are {checksums}", warning=careless_server()
    )


def careless_server() -> str | None:
    """What the open database's server does not keep through a power cut; None for a careful one, and for a file."""
    if not on_server():
        return None
    rows = database.execute_sql(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    )
    off = [name for (name,) in rows.fetchall()]
    return f"the server's {' and '.join(off)} is off: a power cut may lose orders" if off else None


def _schema() -> Finding:
    """The tables, columns and unique indexes that the rules of the journal rest on."""
    info, there = load_database_info(), set(database.get_tables())
    broken = [] if info and info.schema_version == SCHEMA_VERSION else [f"{opened_where()} has another schema"]
    for table in TABLES:
        name = table._meta.table_name
        if name not in there:
            broken.append(f"the table {name} is missing")
            continue
        columns = {column.name: column.data_type for column in database.get_columns(name)}
        broken += [
            f"{name} lacks the column {field.column_name}"
            for field in table._meta.sorted_fields
            if field.column_name not in columns
        ]
        broken += [f"{name}.{column} rounds its numbers" for column, kind in columns.items() if _rounds(kind)]
        indexes = {index.name: index.unique for index in database.get_indexes(name)}
        broken += [f"{name} lacks the unique index {index}" for index in _unique(table) if not indexes.get(index)]
    mode = info.mode if info else "unknown"
    return Finding("schema", f"version {SCHEMA_VERSION}, mode {mode}, {len(TABLES)} tables", tuple(broken))


def _rounds(kind: str) -> bool:
    """A server's REAL has half the digits of SQLite's."""
    return on_server() and kind.lower() == "real"


def _unique(table: type[Model]) -> list[str]:
    names = [f"{table._meta.table_name}_{field.column_name}" for field in table._meta.sorted_fields if field.unique]
    return names + REQUIRED_INDEXES.get(table._meta.table_name, [])


def _values() -> Iterator[str]:
    for table in TABLES:
        name = table._meta.table_name
        fields = [field for field in table._meta.sorted_fields if _reader(field) is not None]
        listed = ", ".join(f'"{field.column_name}"' for field in fields)
        bad = 0
        for row in database.execute_sql(f'SELECT id, {listed} FROM "{name}" ORDER BY id').fetchall():
            for field, value in zip(fields, row[1:], strict=True):
                reader = _reader(field)
                if value is None or reader is None:
                    continue
                try:
                    reader(value)
                except (ArithmeticError, TypeError, ValueError):
                    bad += 1
                    if bad <= MOST:
                        yield f"{name} {row[0]}: {field.column_name} reads {value!r:.60}"
        if bad > MOST:
            yield f"{name}: {bad - MOST} more"


def _reader(field: "Field[Any]") -> Callable[[Any], object] | None:
    """What takes a stored value of this column, or fails."""
    if isinstance(field, DecimalField):
        return _finite
    if isinstance(field, UtcField):
        return _aware
    if isinstance(field, JsonField):
        return json.loads
    if isinstance(field, FloatField):
        return _number
    if isinstance(field, BooleanField | IntegerField):
        return _whole
    return None


def _finite(value: Any) -> None:
    if not Decimal(value).is_finite():
        raise ValueError("not finite")


def _aware(value: Any) -> None:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("without a time zone")


def _number(value: Any) -> None:
    if isinstance(value, str | bytes) or not abs(float(value)) < float("inf"):
        raise ValueError("no number")


def _whole(value: Any) -> None:
    if not isinstance(value, int):
        raise ValueError("no whole number")


def _references() -> Iterator[str]:
    lost = Order.select(Order.id).where(Order.trade.not_in(Trade.select(Trade.id)))
    yield from _some("order", [row.id for row in lost], "its trade is missing")
    events = Event.select(Event.trade_id).where(
        Event.trade_id.is_null(False) & Event.trade_id.not_in(Trade.select(Trade.id))
    )
    yield from _some("trade", sorted({row.trade_id or 0 for row in events}), "events tell of it, and it is missing")


def _trades() -> Iterator[str]:
    stop = Trade.stop_loss_price
    holds_nothing = (
        Trade.entry_price.is_null() | Trade.entry_cost.is_null() | Trade.entry_amount.is_null() | Trade.atr.is_null()
    )
    rules: list[tuple[Any, str]] = [
        (Trade.status.not_in(list(TradeStatus)), "its status is none of ours"),
        ((Trade.status == TradeStatus.OPEN) & (stop.is_null() | (stop <= 0)), "it is open without a stop"),
        ((Trade.status == TradeStatus.OPEN) & holds_nothing, "it is open without its entry's figures"),
        ((Trade.status == TradeStatus.CLOSED) & Trade.closed_at.is_null(), "it is closed without a time"),
        ((Trade.status == TradeStatus.CLOSED) & Trade.exit_reason.is_null(), "it is closed without a reason"),
        (Trade.exit_reason.not_in(list(ExitReason)), "its exit's reason is none of ours"),
    ]
    for rule, why in rules:
        yield from _some("trade", [row.id for row in Trade.select(Trade.id).where(rule)], why)
    open_ones = Trade.select().where(Trade.status == TradeStatus.OPEN)
    yield from _some("trade", [row.id for row in open_ones if row.amount <= 0], "it is open and holds nothing")


def _orders() -> Iterator[str]:
    taken = (OrderState.ACCEPTED, OrderState.FILLED)
    ended = Order.state.in_((OrderState.FILLED, OrderState.CANCELED))
    rules: list[tuple[Any, str]] = [
        (Order.state.not_in(list(OrderState)), "its state is none of ours"),
        (Order.side.not_in(list(Side)), "its side is none of ours"),
        (
            Order.state.in_(taken) & Order.exchange_order_id.is_null(),
            "the exchange has it, and its id there is missing",
        ),
        (ended & (Order.cost.is_null() | Order.fee.is_null()), "it has ended without its cost and fee"),
        ((Order.side == Side.SELL) & Order.reason.is_null(), "it sells without a reason"),
    ]
    for rule, why in rules:
        yield from _some("order", [row.id for row in Order.select(Order.id).where(rule)], why)


def _switch() -> Iterator[str]:
    values = {row.key: row.value for row in SystemConfig.select()}
    allowed = {
        "system_status": (SWITCHED_ON, PAUSED),
        "frozen": ("true", "false"),
        "buy_enabled": ("true", "false"),
    }
    for key, words in allowed.items():
        if values.get(key) not in words:
            yield f"{key} reads {values.get(key)!r}"
    if "tripped_at" not in values:
        yield "tripped_at is missing"


def _numbering() -> Iterator[str]:
    """A server counts on by itself, and after rows with numbers of their own it may count wrong."""
    if not on_server():
        return
    for table in TABLES:
        name = table._meta.table_name
        [sequence] = database.execute_sql(f"""SELECT pg_get_serial_sequence('"{name}"', 'id')""").fetchone()
        if sequence is None:
            yield f"{name} does not count its rows"
            continue
        [last, called] = database.execute_sql(f"SELECT last_value, is_called FROM {sequence}").fetchone()
        [highest] = database.execute_sql(f'SELECT coalesce(max(id), 0) FROM "{name}"').fetchone()
        if highest > (last if called else last - 1):
            yield f"{name} would give the number {last + called} again"


def _some(what: str, ids: list[int], why: str) -> Iterator[str]:
    for row_id in ids[:MOST]:
        yield f"{what} {row_id}: {why}"
    if len(ids) > MOST:
        yield f"{len(ids) - MOST} more of {what}: {why}"
