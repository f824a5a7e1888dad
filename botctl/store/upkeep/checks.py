"""Consistency checks of a database: each lists the rows that break a rule."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from peewee import Model

from botctl.domain.kill_switch import ACTIVE, PAUSED
from botctl.domain.orders import ExitReason, OrderState, Side, TradeStatus
from botctl.store.broken_rows import READABLE, find_broken_rows
from botctl.store.location import opened_where
from botctl.store.models import TABLES, Event, Order, SystemConfig, Trade, database, on_server
from botctl.store.schema.migrations import SCHEMA_VERSION, load_database_info

MAX_ROWS_NAMED = 5
REQUIRED_INDEXES = {"trade": ["one_active_trade_per_asset"], "order": ["one_unsettled_order_per_trade"]}
"""The unique indexes that don't belong to a column."""
SWITCH_VALUES = {"system_status": (ACTIVE, PAUSED), "frozen": ("true", "false"), "buy_enabled": ("true", "false")}


@dataclass(frozen=True)
class Finding:
    name: str
    detail: str
    broken: tuple[str, ...] = ()
    warning: str | None = None


def examine_database() -> list[Finding]:
    findings = [_integrity(), _schema()]
    if findings[-1].broken:  # the other checks need the tables
        return findings
    checks: list[tuple[str, str, Callable[[], Iterator[str]]]] = [
        ("values", "every amount, time and detail can be read", _values),
        ("rows", "every open trade and unsettled order says what can be", _rows),
        ("references", "every order belongs to a trade", _references),
        ("trades", "every trade matches its status", _trades),
        ("orders", "every order matches its state", _orders),
        ("switch", "it can be read", _switch),
        ("numbering", "new rows get unused ids", _numbering),
    ]
    for name, detail, check in checks:
        broken = tuple(check())
        findings.append(Finding(name, detail, broken))
        if broken and name == "values":
            break  # the other checks compare these values
    return findings


def _integrity() -> Finding:
    complaint = opened_where().find_damage()
    if not on_server():
        return Finding("integrity", "SQLite reports no damage", () if complaint is None else (complaint,))
    checksums = database.execute_sql("SHOW data_checksums").fetchone()[0]
    return Finding("integrity", f"the server's task; its data checksums are {checksums}", warning=unsafe_settings())


def unsafe_settings() -> str | None:
    """The settings of the open database's server that risk data in a power cut; None for a safe one, and for a file."""
    if not on_server():
        return None
    rows = database.execute_sql(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    )
    off = [name for (name,) in rows.fetchall()]
    return f"the server's {' and '.join(off)} is off: a power cut may lose orders" if off else None


def _schema() -> Finding:
    info, tables = load_database_info(), set(database.get_tables())
    broken = [] if info and info.schema_version == SCHEMA_VERSION else [f"{opened_where()} has another schema"]
    for table in TABLES:
        name = table._meta.table_name
        if name not in tables:
            broken.append(f"the table {name} is missing")
            continue
        columns = {column.name: column.data_type for column in database.get_columns(name)}
        expected = [field.column_name for field in table._meta.sorted_fields]
        broken += [f"{name} lacks the column {column}" for column in expected if column not in columns]
        rounding = [column for column, kind in columns.items() if on_server() and kind.lower() == "real"]
        broken += [f"{name}.{column} rounds its numbers" for column in rounding]  # half the digits of SQLite's REAL
        indexes = {index.name: index.unique for index in database.get_indexes(name)}
        broken += [f"{name} lacks the unique index {index}" for index in _unique(table) if not indexes.get(index)]
    mode = info.mode if info else "unknown"
    return Finding("schema", f"version {SCHEMA_VERSION}, mode {mode}, {len(TABLES)} tables", tuple(broken))


def _unique(table: type[Model]) -> list[str]:
    names = [f"{table._meta.table_name}_{field.column_name}" for field in table._meta.sorted_fields if field.unique]
    return names + REQUIRED_INDEXES.get(table._meta.table_name, [])


def _values() -> Iterator[str]:
    for table in TABLES:
        name, tests = table._meta.table_name, {}
        for field in table._meta.sorted_fields:
            if (test := next((test for kind, test in READABLE if isinstance(field, kind)), None)) is not None:
                tests[field.column_name] = test
        listed = ", ".join(f'"{column}"' for column in tests)
        unreadable = [
            f"{name} {row_id}: {column} reads {value!r:.60}"
            for row_id, *values in database.execute_sql(f'SELECT id, {listed} FROM "{name}" ORDER BY id').fetchall()
            for (column, test), value in zip(tests.items(), values, strict=True)
            if value is not None and not _passes(test, value)
        ]
        yield from unreadable[:MAX_ROWS_NAMED]
        if len(unreadable) > MAX_ROWS_NAMED:
            yield f"{name}: {len(unreadable) - MAX_ROWS_NAMED} more"


def _passes(test: Callable[[Any], object], value: Any) -> bool:
    try:
        return bool(test(value))
    except (ArithmeticError, TypeError, ValueError):
        return False


def _rows() -> Iterator[str]:
    """Rows that no run trades with, though each value is of its type."""
    yield from [error.message for error in find_broken_rows()][:MAX_ROWS_NAMED]


def _references() -> Iterator[str]:
    trades = Trade.select(Trade.id)
    lost = Order.select(Order.id).where(Order.trade.not_in(trades))
    yield from _named("order", [row.id for row in lost], "its trade is missing")
    events = Event.select(Event.trade_id).where(Event.trade_id.is_null(False) & Event.trade_id.not_in(trades))
    yield from _named("trade", sorted({row.trade_id or 0 for row in events}), "it has events, and it is missing")


def _trades() -> Iterator[str]:
    is_open, is_closed = Trade.status == TradeStatus.OPEN, Trade.status == TradeStatus.CLOSED
    stop = Trade.stop_loss_price
    no_entry = (
        Trade.entry_price.is_null() | Trade.entry_cost.is_null() | Trade.entry_amount.is_null() | Trade.atr.is_null()
    )
    rules: list[tuple[Any, str]] = [
        (Trade.status.not_in(list(TradeStatus)), "its status is unknown"),
        (is_open & (stop.is_null() | (stop <= 0)), "it is open without a stop"),
        (is_open & no_entry, "it is open without its entry's figures"),
        (is_closed & Trade.exit_time.is_null(), "it is closed without a time"),
        (is_closed & Trade.exit_reason.is_null(), "it is closed without a reason"),
        (Trade.exit_reason.not_in(list(ExitReason)), "its exit reason is unknown"),
    ]
    yield from _broken("trade", Trade, rules)
    open_trades = Trade.select().where(is_open)
    yield from _named("trade", [row.id for row in open_trades if row.amount <= 0], "it is open and holds nothing")


def _orders() -> Iterator[str]:
    accepted = Order.state.in_((OrderState.ACCEPTED, OrderState.FILLED))
    ended = Order.state.in_((OrderState.FILLED, OrderState.CANCELED))
    rules: list[tuple[Any, str]] = [
        (Order.state.not_in(list(OrderState)), "its state is unknown"),
        (Order.side.not_in(list(Side)), "its side is unknown"),
        (accepted & Order.exchange_order_id.is_null(), "the exchange has it, and its id there is missing"),
        (ended & (Order.cost.is_null() | Order.fee.is_null()), "it has ended without its cost and fee"),
        ((Order.side == Side.SELL) & Order.reason.is_null(), "it sells without a reason"),
    ]
    yield from _broken("order", Order, rules)


def _switch() -> Iterator[str]:
    values = {row.key: row.value for row in SystemConfig.select()}
    for key, allowed in SWITCH_VALUES.items():
        if values.get(key) not in allowed:
            yield f"{key} reads {values.get(key)!r}"
    if "tripped_at" not in values:
        yield "tripped_at is missing"


def _numbering() -> Iterator[str]:
    """A server's id sequence may be behind after rows were inserted with ids."""
    if not on_server():
        return
    for table in TABLES:
        name = table._meta.table_name
        [sequence] = database.execute_sql(f"""SELECT pg_get_serial_sequence('"{name}"', 'id')""").fetchone()
        if sequence is None:
            yield f"{name} has no id sequence"
            continue
        [last, called] = database.execute_sql(f"SELECT last_value, is_called FROM {sequence}").fetchone()
        [highest] = database.execute_sql(f'SELECT coalesce(max(id), 0) FROM "{name}"').fetchone()
        if highest > (last if called else last - 1):
            yield f"{name} would give the id {last + called} again"


def _broken(name: str, table: type[Trade] | type[Order], rules: list[tuple[Any, str]]) -> Iterator[str]:
    for rule, why in rules:
        yield from _named(name, [row.id for row in table.select(table.id).where(rule)], why)


def _named(name: str, ids: list[int], why: str) -> Iterator[str]:
    for row_id in ids[:MAX_ROWS_NAMED]:
        yield f"{name} {row_id}: {why}"
    if len(ids) > MAX_ROWS_NAMED:
        yield f"{len(ids) - MAX_ROWS_NAMED} more of {name}: {why}"
