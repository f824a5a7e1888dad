"""db: migrates, backs up, checks and copies the database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from
from botctl.cli.output import show, show_checks
from botctl.cli.results import BackupView, CopyView, MigrateView
from botctl.cli.views.database import draw_backup, draw_copy, draw_migration
from botctl.config import Config, open_store
from botctl.domain.configuration.database_url import parse_database_url, without_password
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BadValue
from botctl.domain.health.checks import CheckResult
from botctl.store.copy import copy_open_database
from botctl.store.database import connected
from botctl.store.location import DatabaseLocation, find_location
from botctl.store.schema.migrations import SCHEMA_VERSION, load_database_info
from botctl.store.upkeep.backups import FOLDER, back_up_to
from botctl.store.upkeep.checks import Finding, examine_database

app = typer.Typer(
    help="Update, back up, check or copy the database.\n\nEach works with SQLite and with PostgreSQL.\n\n"
    "\b\nExample:\n  botctl db check",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command()
def migrate(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Update the tables of the database to this version of botctl.

    Each run does so by itself. Run it by hand to choose the time: before several
    machines run a newer botctl, after stopping the older ones.

    \b
    Example:
      botctl db migrate
    """
    config = config_from(ctx)
    with connected(config.database):  # raises before the lock makes a file
        pass
    with config.database.lock(config.lock_timeouts.run):
        with connected(config.database):
            info = load_database_info()
        with open_store(config, create=False):
            pass
    before = info.schema_version if info else None
    show(ctx, MigrateView(str(config.database), before, SCHEMA_VERSION), draw_migration)


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The file to write; default: data/backups/<mode>-<time>.db.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy the database into a new SQLite file.

    Safe while botctl runs. The copy is consistent, also from a PostgreSQL server.
    `botctl db copy` restores such a file.

    \b
    Examples:
      botctl db backup
      botctl db backup /mnt/stick/bot.db
    """
    config = config_from(ctx)
    source = config.database_file
    default = source.with_name(FOLDER) / f"{source.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{source.suffix}"
    target = (file or default).absolute()
    with open_store(config, create=False):
        back_up_to(config.database, target)
    show(ctx, BackupView(str(config.database), str(target), target.stat().st_size), draw_backup)


@app.command()
def check(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check the database for damage and impossible values.

    The file's integrity, tables and indexes, every stored value, and the rules of
    trades and orders. Changes nothing. Exit code 1 when a check fails.

    \b
    Example:
      botctl db check
    """
    with open_store(config_from(ctx), create=False):
        results = [_result_of(finding) for finding in examine_database()]
    show_checks(ctx, results, "nothing to check")


def _result_of(finding: Finding) -> CheckResult:
    if finding.broken:
        fix = "run `botctl recover` to compare with the exchange, or restore a backup"
        return CheckResult(finding.name, "fail", "; ".join(finding.broken), fix)
    if finding.warning is not None:
        return CheckResult(finding.name, "warn", finding.warning, "turn it on in the server's postgresql.conf")
    return CheckResult(finding.name, "ok", finding.detail)


@app.command()
def copy(
    ctx: typer.Context,
    to: Annotated[str, typer.Option(metavar="URL", help="An empty database, written as in DATABASE_URL.")],
    as_json: JsonFlag = False,
) -> None:
    """Copy everything into another, empty database.

    From SQLite to PostgreSQL, back, or between two of a kind. Copies all rows or none,
    and compares each of them. Afterwards set DATABASE_URL on every machine before the
    next tick.

    \b
    Examples:
      botctl db copy --to postgresql://bot@db.example/bot
      botctl db copy --to sqlite:///data/back.db
    """
    config = config_from(ctx)
    target, wait_seconds = _target_from(to, config), config.lock_timeouts.run
    with (
        config.database.lock(wait_seconds),
        open_store(config, create=False),
        target.open_beside(wait_seconds) as opened,
    ):
        tables = copy_open_database(opened, target)
    steps = [f"set DATABASE_URL={without_password(to)} on every machine, before the next tick", "botctl db check"]
    if config.settings.botctl_mode is Mode.LIVE:
        steps.append("botctl reconcile")
    view = CopyView(str(config.database), str(target), sum(table.rows for table in tables), tables, steps)
    show(ctx, view, draw_copy)


def _target_from(url: str, config: Config) -> DatabaseLocation:
    """The database that --to names. Raises BadValue."""
    try:
        target = find_location(parse_database_url(url), config.folder, config.lock_timeouts.statement)
    except ValueError as error:
        raise BadValue(f"--to {error}", hint="see docs/databases.md") from None
    if target == config.database:
        raise BadValue("--to is the database to copy from", hint="give another one")
    return target
