"""Deletes old ticks, decisions and events in small steps. Trades and orders stay for ever."""

from datetime import datetime, timedelta

from botctl.store.models import Decision, Event, Table, Tick, Trade, database

BATCH = 500
"""Rows of a table that one run deletes at most: no stop waits for a long one."""
SETTLED_CLOCK = 96
"""Ticks that must agree with the time: a clock that jumps ahead once deletes nothing."""


def prune(now: datetime, keep_days: int) -> dict[str, int]:
    """Delete what is older than `keep_days`, except events of open trades. Returns the rows deleted by table.

    An event says how many there were.
    """
    settled = Tick.select(Tick.at).order_by(Tick.id.desc()).offset(SETTLED_CLOCK - 1).first()
    if keep_days == 0 or settled is None:
        return {}
    before = min(now, settled.at) - timedelta(days=keep_days)
    active = Trade.select(Trade.id).where(Trade.exit_time.is_null())
    old = {
        Tick: Tick.at < before,
        Decision: Decision.decided_at < before,
        Event: (Event.at < before) & (Event.trade_id.is_null() | Event.trade_id.not_in(active)),
    }
    with database.atomic("IMMEDIATE"):
        deleted = {table._meta.table_name: _delete_oldest(table, which) for table, which in old.items()}
        deleted = {name: count for name, count in deleted.items() if count}
        if deleted:
            counts = ", ".join(f"{count} rows of {name}" for name, count in deleted.items())
            why = f"{counts} from before {before:%Y-%m-%d %H:%M} UTC"
            Event.create(at=now, kind="pruned", before={}, after=deleted, why=why)
    return deleted


def _delete_oldest(table: type[Table], which: object) -> int:
    oldest = [row.id for row in table.select(table.id).where(which).order_by(table.id).limit(BATCH)]
    return int(table.delete().where(table.id.in_(oldest)).execute()) if oldest else 0
