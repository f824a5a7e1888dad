"""Schema 6 to 7: a trade has `entry_time`, `exit_time` and the stop that its entry began with."""

import json
import math
from typing import Any

from botctl.store.models import database, on_server

NEW_NAMES = {"opened_at": "entry_time", "closed_at": "exit_time"}
FIRST_STOPS = "SELECT trade_id, after FROM event WHERE kind IN ('opened', 'filled late') ORDER BY id DESC"
"""The events that set a trade's first stop; of a trade's own the oldest last, which stays in a dict."""
STOPS = "SELECT id, entry_price, stop_loss_price FROM trade WHERE stop_loss_price IS NOT NULL"


def rename_trade_times() -> None:
    """Rename the columns, also in the audit trail, where an event names the columns that it changed."""
    database.execute_sql("DROP INDEX IF EXISTS trade_asset_closed")
    for old, new in NEW_NAMES.items():
        database.execute_sql(f"ALTER TABLE trade RENAME COLUMN {old} TO {new}")
        for column in ("before", "after"):
            param = database.param
            database.execute_sql(
                f'UPDATE event SET "{column}" = replace("{column}", {param}, {param}) '
                f'WHERE trade_id IS NOT NULL AND "{column}" LIKE {param}',
                (f'"{old}": ', f'"{new}": ', f'%"{old}": %'),
            )
    database.execute_sql("CREATE INDEX trade_asset_closed ON trade (asset, exit_time)")


def add_initial_stop() -> None:
    """Add `initial_stop_loss_price`, and fill it where it is certain.

    It is not calculated from the ATR, because its multiple is a setting that may have changed since. The event of the
    entry has it; where that is pruned, a stop below the entry price is the first one, since a stop that has moved is
    at the entry price or above. For the others it stays NULL: their R multiple is unknown.
    """
    kind = "DOUBLE PRECISION" if on_server() else "REAL"
    database.execute_sql(f"ALTER TABLE trade ADD COLUMN initial_stop_loss_price {kind}")
    stops = {}
    for trade_id, entry, stop in database.execute_sql(STOPS).fetchall():
        if (entry_price := _price(entry)) is not None and (price := _price(stop)) is not None and price < entry_price:
            stops[trade_id] = price
    for trade_id, after in database.execute_sql(FIRST_STOPS).fetchall():
        if (first := _first_stop(after)) is not None:
            stops[trade_id] = first
    if stops:
        statement = f"UPDATE trade SET initial_stop_loss_price = {database.param} WHERE id = {database.param}"
        database.cursor().executemany(statement, [(stop, trade_id) for trade_id, stop in stops.items()])


def _first_stop(after: Any) -> float | None:
    try:
        columns = json.loads(after)
    except (TypeError, ValueError, RecursionError):
        return None
    return _price(columns.get("stop_loss_price")) if isinstance(columns, dict) else None


def _price(stored: Any) -> float | None:
    """None for what is no price: a broken row is named by each run, and must not fail the migration."""
    try:
        price = float(stored)
    except (TypeError, ValueError, OverflowError):
        return None
    return price if 0 < price < math.inf else None
