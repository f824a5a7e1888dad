"""The database itself: bring it up to date, copy it, look whether it holds what it must."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with
from botctl.cli.output import show, show_list
from botctl.cli.results import BackupView, CopyView, MigrateView
from botctl.cli.views.database import draw_backup, draw_copy, draw_migration
from botctl.cli.views.setup import draw_checks
from botctl.config import Config, open_store
from botctl.domain.checks import CheckResult
from botctl.domain.database_url import parse_database_url, without_password
from botctl.domain.errors import BadValue
from botctl.domain.settings import Mode
from botctl.store.database import connected
from botctl.store.location import DatabaseLocation, find_location

if TYPE_CHECKING:
    from botctl.store.checks import Finding

db = typer.Typer(
    name="db",
    help="The database: migrate, back up, check, copy.\n\nEach works with SQLite and with PostgreSQL.\n\n"
    "\b\nExample:\n  botctl db check",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@db.command()
def migrate(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Bring the database to this botctl's schema.

    Every run does so by itself. Do it by hand to choose the moment: before several
    machines run a newer botctl, after stopping the older ones.

    \b
    Example:
      botctl db migrate
    """
    from botctl.store.migrations import SCHEMA_VERSION, load_database_info

    config = config_from(ctx)
    with config.database.lock(config.lock_timeouts.run):
        with connected(config.database):
            stamp = load_database_info()
        with open_store(config, create=False):
            pass
    before = stamp.schema_version if stamp else None
    show(ctx, MigrateView(str(config.database), before, SCHEMA_VERSION), draw_migration)


@db.command()
def backup(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; default: data/backups/<mode>-<time>.db.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy the database into a new SQLite file.

    Safe while botctl runs. From a PostgreSQL server too: the rows as they are at one
    moment. `botctl db copy` brings such a file back.

    \b
    Examples:
      botctl db backup
      botctl db backup /mnt/stick/bot.db
    """
    from botctl.store.backups import FOLDER, back_up_to

    config = config_from(ctx)
    moment = datetime.now(UTC)
    beside = config.database_file
    to = file or beside.with_name(FOLDER) / f"{beside.stem}-{moment:%Y%m%dT%H%M%SZ}{beside.suffix}"
    with open_store(config, create=False):
        back_up_to(config.database, to.absolute())
    show(ctx, BackupView(str(config.database), str(to.absolute()), to.stat().st_size), draw_backup)


@db.command()
def check(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Look whether the database holds what it must. Changes nothing.

    The file's soundness, tables and indexes, every stored value, and the rules of
    trades and orders. Exit code 1 when one is broken.

    \b
    Example:
      botctl db check
    """
    from botctl.store.checks import examine_database

    config = config_from(ctx)
    with open_store(config, create=False):
        findings = examine_database()
    lines = [_line(found) for found in findings]
    show_list(ctx, lines, draw_checks, "nothing to check", name_mode=False)
    exit_with(1 if any(found.broken for found in findings) else 0)


def _line(found: "Finding") -> CheckResult:
    if found.broken:
        fix = "`botctl recover` shows what the exchange knows; or restore a backup"
        return CheckResult(found.name, "fail", "; ".join(found.broken), fix)
    if found.warning is not None:
        return CheckResult(found.name, "warn", found.warning, "turn it on in the server's postgresql.conf")
    return CheckResult(found.name, "ok", found.detail)


@db.command()
def copy(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The empty database, as DATABASE_URL names one.")],
    as_json: JsonFlag = False,
) -> None:
    """Copy everything into another, empty database.

    From SQLite to PostgreSQL, back, or between two of a kind. All of it is kept or
    nothing; every row is read again and compared. Afterwards set DATABASE_URL on every
    machine before the next tick.

    \b
    Examples:
      botctl db copy --to postgresql://bot@db.example/bot
      botctl db copy --to sqlite:///data/back.db
    """
    from botctl.store.copy import copy_open_database

    config = config_from(ctx)
    target, wait_seconds = _where(to, config), config.lock_timeouts.run
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


def _where(url: str, config: Config) -> DatabaseLocation:
    try:
        where = find_location(parse_database_url(url), config.folder, config.lock_timeouts.statement)
    except ValueError as error:
        raise BadValue(f"--to {error}", hint="see docs/databases.md") from None
    if where == config.database:
        raise BadValue("--to names the database that is to be copied", hint="name another one")
    return where


def register(app: typer.Typer) -> None:
    app.add_typer(db)
