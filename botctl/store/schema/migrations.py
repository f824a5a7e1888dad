"""The schema's version: creates a new database, migrates an older one, refuses a newer one."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import WrongDatabase
from botctl.store.evidence.database_id import new_created_at
from botctl.store.location import DatabaseLocation
from botctl.store.models import (
    TABLES,
    Alarm,
    DatabaseInfo,
    Outgoing,
    PaperStop,
    SystemConfig,
    database,
    new_trade_tag,
    on_server,
)
from botctl.store.schema.migration_to_5 import fill_columns
from botctl.store.schema.migration_to_7 import add_initial_stop, rename_trade_times

SCHEMA_VERSION = 8

Step = Callable[[], None]


def tag_trades() -> None:
    """1 -> 2: every trade gets a tag. Earlier orders keep their client order ids."""
    database.execute_sql("ALTER TABLE trade ADD COLUMN mark TEXT NOT NULL DEFAULT ''")
    for (trade_id,) in database.execute_sql("SELECT id FROM trade").fetchall():
        param = database.param
        database.execute_sql(f"UPDATE trade SET mark = {param} WHERE id = {param}", (new_trade_tag(), trade_id))
    database.execute_sql('CREATE UNIQUE INDEX "trade_mark" ON "trade" ("mark")')


def create_alert_tables() -> None:
    """2 -> 3: the tables of alerts and of messages to send.

    They are created by today's models. A later step that changes one must first spell out here what it was.
    """
    database.create_tables((Alarm, Outgoing), safe=False)


def create_partial_indexes() -> None:
    """3 -> 4: indexes that find open trades and unsettled orders among any number of others."""
    database.execute_sql("CREATE INDEX trade_active ON trade (status) WHERE status IN ('PENDING', 'OPEN')")
    database.execute_sql(
        'CREATE INDEX order_unsettled ON "order" (state) '
        "WHERE state IN ('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED')"
    )


def mark_inexact_orders() -> None:
    """5 -> 6: orders whose figures are estimates, none of which was marked before; the exchange's time of checks; the
    drawdown from the peak."""
    database.execute_sql("ALTER TABLE tick ADD COLUMN drawdown_peak TEXT")
    database.execute_sql("ALTER TABLE trade ADD COLUMN seen_at TEXT")
    boolean = "BOOLEAN" if on_server() else "INTEGER"
    database.execute_sql(f'ALTER TABLE "order" ADD COLUMN inexact {boolean} NOT NULL DEFAULT FALSE')
    database.execute_sql('CREATE INDEX order_inexact ON "order" (id) WHERE inexact')
    database.execute_sql('CREATE INDEX IF NOT EXISTS order_settled ON "order" (settled_at)')
    database.execute_sql(
        "CREATE INDEX trade_unknown ON trade (id) WHERE status NOT IN ('PENDING', 'OPEN', 'CLOSED', 'FAILED')"
    )
    database.execute_sql(
        'CREATE INDEX order_unknown ON "order" (id) WHERE state NOT IN '
        "('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED', 'FILLED', 'CANCELED', 'REJECTED', 'ABSENT')"
    )


def name_trade_times() -> None:
    """6 -> 7: a trade's times are named as its prices are, and its initial stop has a column."""
    rename_trade_times()
    add_initial_stop()


def add_resting_stops() -> None:
    """7 -> 8: stops that rest at the exchange: their trigger, their state, and those of the paper broker."""
    database.create_tables((PaperStop,), safe=False)
    database.execute_sql('ALTER TABLE "order" ADD COLUMN trigger TEXT')
    database.execute_sql(
        "CREATE UNIQUE INDEX one_resting_order_per_trade ON \"order\" (trade_id) WHERE state = 'RESTING'"
    )
    database.execute_sql("CREATE INDEX order_resting ON \"order\" (state) WHERE state = 'RESTING'")
    database.execute_sql("DROP INDEX order_unknown")
    database.execute_sql(
        'CREATE INDEX order_unknown ON "order" (id) WHERE state NOT IN '
        "('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED', 'RESTING', 'FILLED', 'CANCELED', 'REJECTED', 'ABSENT')"
    )


# A step is SQL for both kinds of database: no TEXT COLLATE, a float is DOUBLE PRECISION, a new table is created by its
# model (`database.create_tables`), a placeholder is `database.param`.
STEPS: Mapping[int, Step] = {
    1: tag_trades,
    2: create_alert_tables,
    3: create_partial_indexes,
    4: fill_columns,
    5: mark_inexact_orders,
    6: name_trade_times,
    7: add_resting_stops,
}
"""The step from each older version to the next one."""

FIRST_SWITCHES = {"system_status": "ACTIVE", "frozen": "false", "buy_enabled": "true", "tripped_at": ""}


def load_database_info() -> DatabaseInfo | None:
    """The mode and version of the open database, None when it has no tables yet."""
    if "stamp" not in database.get_tables():
        return None
    info: DatabaseInfo | None = DatabaseInfo.get_or_none()
    return info


def create_schema(mode: Mode) -> None:
    """Create and fill all tables in one transaction: a run killed here leaves an empty database or a complete one."""
    now = datetime.now(UTC)
    with database.atomic("IMMEDIATE"):
        if load_database_info() is not None:  # another process created it meanwhile
            return
        database.create_tables(TABLES)
        DatabaseInfo.create(mode=mode, schema_version=SCHEMA_VERSION, created_at=new_created_at())
        for key, value in FIRST_SWITCHES.items():
            SystemConfig.create(key=key, value=value, updated_at=now)


def migrate_database(
    where: DatabaseLocation, *, steps: Mapping[int, Step] = STEPS, version: int = SCHEMA_VERSION
) -> None:
    """Migrate an older database to `version`, in one transaction, after a backup. Raises WrongDatabase when the
    database is newer than this botctl."""
    found = DatabaseInfo.get().schema_version
    if found > version:
        problem = f"{where} has schema {found}, newer than this botctl's {version}"
        raise WrongDatabase(problem, hint="update botctl, then run it again")
    if found == version:
        return
    with database.atomic("IMMEDIATE"):
        found = DatabaseInfo.get().schema_version  # another process may have migrated it meanwhile
        if found < version:
            where.keep_version(found)
        for step in range(found, version):
            steps[step]()
        DatabaseInfo.update(schema_version=version).execute()
