"""Rows that can't be read, or that say what can't be: each is one problem, and all others are read."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from peewee import SQL, BooleanField, Field, FloatField, IntegerField, Model

from botctl.domain.errors import BotError, BrokenRow
from botctl.domain.orders import ExitReason, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.domain.text import sanitize
from botctl.store.fields import DecimalField, JsonField, UtcField
from botctl.store.key_value import UNREADABLE
from botctl.store.models import (
    ACTIVE_TRADES,
    UNKNOWN_STATES,
    UNKNOWN_STATUSES,
    UNSETTLED_ORDERS,
    Decision,
    Event,
    Order,
    Table,
    Tick,
    Trade,
    database,
)
from botctl.store.rows import Rows

Check = Callable[[Any], object]


def load_rows(query: Any) -> Rows[Any]:
    """The rows of a query, in its order. One that can't be read costs no other."""
    try:
        found = list(query)
    except UNREADABLE:
        return _one_by_one(query)
    broken = [row for row in found if problem_of(row) is not None]
    return _one_by_one(query) if broken else Rows(found)


def load_row(query: Any) -> Any | None:
    """The first row of a query. Raises BrokenRow."""
    rows = load_rows(query.limit(1))
    if rows.broken:
        raise rows.broken[0]
    return rows[0] if rows else None


def all_rows(query: Any) -> list[Any]:
    """The rows of a query. Raises BrokenRow: what compares them all can't do without one."""
    rows = load_rows(query)
    if rows.broken:
        raise rows.broken[0]
    return list(rows)


def get_trade(trade_id: int) -> Trade:
    """Raises BrokenRow."""
    trade: Trade | None = load_row(Trade.select().where(Trade.id == trade_id))
    if trade is None:
        raise BotError(f"trade {trade_id} is gone", hint="see `botctl db check`")
    return trade


def problem_of(row: Any) -> str | None:
    """What is impossible about a row that could be read; None for a sound one."""
    for name, check in RULES.get(type(row), {}).items():
        if name not in row.__data__:  # it was not asked for
            continue
        value = row.__data__[name]
        if not (row._meta.fields[name].null if value is None else check(value)):
            return _shown(name, value)
    if isinstance(row, Trade) and row.symbol and row.asset and base_of(row.symbol) != row.asset:
        return f"its asset is {sanitize(str(row.asset), 20)!r}, its symbol {sanitize(str(row.symbol), 20)!r}"
    return None


def find_unknown_rows() -> list[BrokenRow]:
    """Trades and orders whose status nobody knows: they are neither open nor closed."""
    return [
        broken
        for table, condition in ((Trade, UNKNOWN_STATUSES), (Order, UNKNOWN_STATES))
        if _exists(table, condition)  # each run asks several times, and there are none
        for broken in load_rows(table.select().where(condition).order_by(table.id)).broken
    ]


def _exists(table: type[Table], condition: SQL) -> bool:
    statement = f'SELECT 1 FROM "{table._meta.table_name}" WHERE {condition.sql} LIMIT 1'
    return database.execute_sql(statement).fetchone() is not None


def find_broken_rows() -> list[BrokenRow]:
    """Those among the open trades and the unsettled orders, and those of a status that nobody knows."""
    trades = load_rows(Trade.select().where(ACTIVE_TRADES).order_by(Trade.id)).broken
    orders = load_rows(Order.select().where(UNSETTLED_ORDERS).order_by(Order.id)).broken
    return [*trades, *orders, *find_unknown_rows()]


def _one_by_one(query: Any) -> Rows[Any]:
    table: type[Table] = query.model
    rows: list[Any] = []
    broken: list[BrokenRow] = []
    for (row_id,) in list(query.columns(table.id).tuples()):
        try:
            row = table.get_by_id(row_id)
            what = problem_of(row)
        except UNREADABLE as error:
            row, what = None, _describe(table, row_id) or f"{type(error).__name__}: {error}"
        if what is None:
            rows.append(row)
        else:
            broken.append(_broken(table, row_id, what))
    return Rows(rows, broken)


def _raw(table: type[Table], row_id: int) -> Mapping[str, Any]:
    """The columns as they are stored."""
    names = [field.column_name for field in table._meta.sorted_fields]
    listed = ", ".join(f'"{name}"' for name in names)
    statement = f'SELECT {listed} FROM "{table._meta.table_name}" WHERE "id" = {database.param}'
    found = database.execute_sql(statement, (row_id,)).fetchone()
    return dict(zip(names, found or (), strict=False))


def _describe(table: type[Table], row_id: int) -> str:
    """The columns that can't be read, with their values."""
    stored = _raw(table, row_id)
    return ", ".join(
        _shown(field.column_name, stored.get(field.column_name))
        for field in table._meta.sorted_fields
        if not is_readable(field, stored.get(field.column_name))
    )


def is_readable(field: "Field[Any]", value: Any) -> bool:
    if value is None:
        return bool(field.null) or field.primary_key
    for kind, check in READABLE:
        if isinstance(field, kind):
            try:
                return bool(check(value))
            except UNREADABLE:
                return False
    return True


def _broken(table: type[Table], row_id: int, what: str) -> BrokenRow:
    stored = _raw(table, row_id)
    correct = "correct it; `botctl db check` names all such values"
    if table is Trade:
        symbol = str(stored.get("symbol"))
        assets = frozenset({str(stored.get("asset")), symbol.split("/")[0]})
        hint = f"its stop is not checked, and nothing is bought: {correct}"
        return BrokenRow(f"trade {row_id} ({sanitize(symbol, 20)})", what, assets=assets, hint=hint)
    name, trade_id = f"{table._meta.table_name} {row_id}", stored.get("trade_id")
    if table is Order and isinstance(trade_id, int):
        name, correct = f"{name} of trade {trade_id}", f"that trade may wait for it: {correct}"
    return BrokenRow(name, what, assets=frozenset(), hint=correct)


def _shown(name: str, value: Any) -> str:
    return f"{name} is {sanitize(str(value), 40)!r}"


def _is_finite(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int | float) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_finite(value) and bool(value > 0)


def _is_amount(value: Any) -> bool:
    return _is_finite(value) and bool(value >= 0)


def _is_symbol(value: Any) -> bool:
    return isinstance(value, str) and value.count("/") == 1 and all(value.split("/"))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


RULES: Mapping[type[Model], Mapping[str, Check]] = {
    Trade: {
        "status": set(TradeStatus).__contains__,
        "symbol": _is_symbol,
        "exiting": set(ExitReason).__contains__,
        **dict.fromkeys(("entry_price", "entry_amount", "atr", "stop_loss_price", "high_price"), _is_positive),
        **dict.fromkeys(("amount", "entry_cost", "entry_fee", "sold_amount", "exit_proceeds", "exit_fee"), _is_amount),
        **dict.fromkeys(("exit_price", "pnl"), _is_finite),
    },
    Order: {
        "state": set(OrderState).__contains__,
        "side": set(Side).__contains__,
        "symbol": _is_symbol,
        "reason": set(ExitReason).__contains__,
        "amount": _is_positive,
        **dict.fromkeys(("filled", "cost", "fee", "average_price"), _is_amount),
    },
    Event: {"before": _is_object, "after": _is_object, "price": _is_finite},
    Tick: {
        "steps": _is_list,
        "seconds": _is_finite,
        "equity": _is_finite,
        "drawdown": _is_finite,
        "drawdown_peak": _is_finite,
    },
    Decision: {"verdicts": _is_list, "price": _is_finite},
}
"""What the values of a row can be, beyond their type. The ATR, stop and prices are in quote per asset."""

READABLE: tuple[tuple[type, Check], ...] = (
    (DecimalField, lambda value: Decimal(value).is_finite()),
    (UtcField, lambda value: datetime.fromisoformat(value).tzinfo),
    (JsonField, lambda value: [json.loads(value)]),
    (FloatField, lambda value: not isinstance(value, str | bytes) and abs(float(value)) < float("inf")),
    (BooleanField, lambda value: isinstance(value, int)),
    (IntegerField, lambda value: isinstance(value, int)),
)
"""For each kind of column a test of a stored value: what is false, or raises, is unreadable."""
