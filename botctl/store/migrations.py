"""The schema's version: makes a new database, brings an older one up to date, refuses a newer one."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from botctl.domain.errors import WrongDatabase
from botctl.domain.settings import Mode
from botctl.store.location import DatabaseLocation
from botctl.store.migration_to_5 import fill_columns
from botctl.store.models import TABLES, Alarm, DatabaseInfo, Outgoing, SystemConfig, database, new_trade_tag

SCHEMA_VERSION = 5

Step = Callable[[], None]


def tag_trades() -> None:
    """1 -> 2: every trade gets its mark. Orders of before keep the ids they were sent with."""
    database.execute_sql("ALTER TABLE trade ADD COLUMN mark TEXT NOT NULL DEFAULT ''")
    for (trade_id,) in database.execute_sql("SELECT id FROM trade").fetchall():
        mark = database.param
        database.execute_sql(f"UPDATE trade SET mark = {mark} WHERE id = {mark}", (new_trade_tag(), trade_id))
    database.execute_sql('CREATE UNIQUE INDEX "trade_mark" ON "trade" ("mark")')


def keep_alarms() -> None:
    """2 -> 3: what has been said, and what is still to be sent.

    Both are new here, so the tables of today serve. A later step that changes one must first spell out here what it
    was.
    """
    database.create_tables((Alarm, Outgoing), safe=False)


def find_what_is_under_way() -> None:
    """3 -> 4: open trades and unsettled orders are found however many there were before them."""
    database.execute_sql("CREATE INDEX trade_active ON trade (status) WHERE status IN ('PENDING', 'OPEN')")
    database.execute_sql(
        'CREATE INDEX order_unsettled ON "order" (state) '
        "WHERE state IN ('INTENDED', 'SUBMITTED', 'UNKNOWN', 'ACCEPTED')"
    )


# A step is SQL that both kinds of database know: TEXT COLLATE is left out, a float is DOUBLE PRECISION, a new table is
# made by its model (`database.create_tables`), a value goes in at `database.param`.
STEPS: Mapping[int, Step] = {1: tag_trades, 2: keep_alarms, 3: find_what_is_under_way, 4: fill_columns}
"""From each older version the step that leads to the next one."""

FIRST_SWITCHES = {"system_status": "ACTIVE", "frozen": "false", "buy_enabled": "true", "tripped_at": ""}


def load_database_info() -> DatabaseInfo | None:
    """The stamp of the open database, or None when it has no tables yet."""
    if "stamp" not in database.get_tables():
        return None
    info: DatabaseInfo | None = DatabaseInfo.get_or_none()
    return info


def create_schema(mode: Mode) -> None:
    """All tables, the stamp and the switches in one transaction: a run killed here leaves an empty file or all."""
    now = datetime.now(UTC)
    with database.atomic("IMMEDIATE"):
        if load_database_info() is not None:  # another process was faster
            return
        database.create_tables(TABLES)
        DatabaseInfo.create(mode=mode, schema_version=SCHEMA_VERSION, created_at=now)
        for key, value in FIRST_SWITCHES.items():
            SystemConfig.create(key=key, value=value, updated_at=now)


def bring_up_to_date(
    where: DatabaseLocation, *, steps: Mapping[int, Step] = STEPS, version: int = SCHEMA_VERSION
) -> None:
    """Lead an older database to `version`, in one transaction that keeps a copy first: a file beside it, on a server
    a schema beside its own.

    Raises WrongDatabase when the database is newer than this botctl.
    """
    found = DatabaseInfo.get().schema_version
    if found > version:
        raise WrongDatabase(
            f"{where} has schema {found}, newer than this botctl's {version}", hint="update botctl, then run it again"
        )
    if found == version:
        return
    with database.atomic("IMMEDIATE"):
        found = DatabaseInfo.get().schema_version  # another process may have been faster
        if found < version:
            where.keep_version(found)
        for step in range(found, version):
            steps[step]()
        DatabaseInfo.update(schema_version=version).execute()
