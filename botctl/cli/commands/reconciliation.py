"""reconcile and recover: the database against the exchange's records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from botctl.cli.context import (
    JsonFlag,
    YesFlag,
    check_terminal,
    config_from,
    confirm,
    exit_with,
    since_from,
    since_option,
)
from botctl.cli.log import log_errors, notice
from botctl.cli.output import print_drawing, progress_bar, show
from botctl.cli.views.reconciliation import draw_reconciliation, draw_recovery
from botctl.config import Config
from botctl.domain.errors import BotError, Refused, exit_code_of
from botctl.reconciliation.rebuild import apply_rebuild, default_start, plan_rebuild
from botctl.reconciliation.reconcile import reconcile as compare
from botctl.reconciliation.results import RecoverAction, RecoverView
from botctl.wiring import open_bot, open_for_recovery

FETCHING = "fetching orders"


def reconcile(
    ctx: typer.Context, since: Annotated[str | None, since_option("30 days ago")] = None, as_json: JsonFlag = False
) -> None:
    """Compare the database with the exchange's records.

    Covers the last 30 days, and more if the oldest open trade is older. Changes nothing. Exit code 1 when something
    differs.

    \b
    Example:
      botctl reconcile --since 2026-11-01
    """
    start = since_from(since)
    config = config_from(ctx, looks=True, account=True)
    with open_bot(config) as bot, progress_bar(ctx, FETCHING) as progress:
        view = compare(bot, start, progress)
    show(ctx, view, draw_reconciliation)
    exit_with(0 if view.same else 1)


def recover(
    ctx: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Write the changes; without it only show them.")] = False,
    since: Annotated[str | None, since_option("90 days ago")] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Also add trades of another database, which nothing guards.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild open trades from the exchange's records.

    For a database that is lost, damaged or restored from a backup. Covers the last 90 days. Sends no order. With
    --apply it shows the plan and asks, and botctl is paused afterwards: run `botctl reconcile`, then `botctl resume`.

    The plan names the database of each trade. Trades of another database are added only where there is no trade yet,
    or with --adopt: another installation may guard them.

    \b
    Examples:
      botctl recover
      botctl recover --apply
    """
    start = since_from(since)
    config = config_from(ctx, acts=True, account=True)
    shown = None
    if apply and not yes:
        check_terminal()
        shown = _rebuild(ctx, config, start, adopt=adopt, prepare=True)  # without the lock no tick waits for the answer
        print_drawing(draw_recovery(shown.view, asking=True), err=True)
        confirm(f"Rebuild the {config.settings.botctl_mode} trades like this?", yes=yes)
        start = shown.view.since
    done = _rebuild(ctx, config, start, adopt=adopt, prepare=apply, apply=apply, shown=shown)
    if done.view.damaged_file:
        notice(f"the whole damaged database was moved to {done.view.damaged_file}")
    log_errors(done.errors)
    show(ctx, done.view, draw_recovery)
    exit_with(exit_code_of(done.errors))


@dataclass(frozen=True)
class Recovery:
    """A plan that was shown, or carried out."""

    view: RecoverView
    errors: list[BotError]


def _rebuild(
    ctx: typer.Context,
    config: Config,
    start: datetime | None,
    *,
    adopt: bool,
    prepare: bool,
    apply: bool = False,
    shown: Recovery | None = None,
) -> Recovery:
    """Plan, with `prepare` after the unfinished orders are settled, and `apply` the plan.

    Raises Refused when it is not the one that was `shown`.
    """
    errors: list[BotError] = []
    with open_for_recovery(config, apply=apply) as (bot, damage):
        if damage and shown is None:
            notice(f"{config.database} is damaged: {damage.complaint}")
        if prepare:
            errors += bot.settlement.settle_unfinished_orders()
        start = start or default_start(bot)
        with progress_bar(ctx, FETCHING) as progress:
            plan = plan_rebuild(bot, start, progress, adopt=adopt)
        if shown is not None and _essence(plan.views) != _essence(shown.view.actions):
            raise Refused(
                "the plan has changed since you were asked: nothing was written",
                hint="run it again and read the new plan",
            )
        if apply:
            apply_rebuild(bot, plan)
        database_id = bot.journal.database_id
    errors += plan.problems
    view = RecoverView(
        since=start,
        applied=apply,
        database=database_id,
        actions=plan.views,
        same_trades=plan.same_trades,
        foreign_orders=plan.foreign_orders,
        damaged_file=str(damage.moved_to) if damage and apply else None,
        notes=plan.notes,
        errors=[str(error) for error in errors],
    )
    return Recovery(view, errors)


def _essence(actions: Sequence[RecoverAction]) -> list[tuple[object, ...]]:
    """What the actions come to; a stop may follow its price while somebody reads."""
    return [(each.action, each.trade_id, each.symbol, each.database, each.amount) for each in actions]
