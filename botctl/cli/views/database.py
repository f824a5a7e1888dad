"""Results of the db commands."""

from botctl.cli.results import BackupView, CopyView, MigrateView
from botctl.cli.tables import pairs


def draw_migration(view: MigrateView) -> str:
    before = "unchanged" if view.schema_before == view.schema else f"was {view.schema_before}"
    return pairs([("database", view.database), ("schema", f"{view.schema} ({before})")])


def draw_backup(view: BackupView) -> str:
    return pairs([("database", view.database), ("copied to", view.file), ("bytes", f"{view.bytes:,}")])


def draw_copy(view: CopyView) -> str:
    rows = [("from", view.database), ("to", view.to)]
    rows += [(table.table, f"{table.rows:,} rows, the same in both") for table in view.tables]
    return pairs([*rows, *[("next", step) for step in view.next]])
