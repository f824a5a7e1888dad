"""When the database and the exchange may disagree: reconcile looks, recover mends."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from botctl.cli.context import (
    JsonFlag,
    Since,
    YesFlag,
    config_from,
    confirm,
    exit_with,
    log_errors,
    since_from,
)
from botctl.cli.output import progress_bar, show
from botctl.cli.views.reconciliation import draw_reconciliation, draw_recovery
from botctl.domain.errors import BotError, exit_code_of
from botctl.reconciliation.results import RecoverView
from botctl.wiring import open_bot, open_for_recovery

RECOVER_SPAN = timedelta(days=90)


def reconcile(ctx: typer.Context, since: Since = None, as_json: JsonFlag = False) -> None:
    """Journal, trades and exchange side by side.

    Looks back 30 days, and to the entry of the oldest open trade. Changes nothing. Exit code 1 when something differs.

    \b
    Example:
      botctl reconcile --since 2026-11-01
    """
    from botctl.reconciliation.reconcile import reconcile as compare

    moment = since_from(since)
    config = config_from(ctx)
    with open_bot(config) as bot, progress_bar(ctx, "asking the exchange for its orders") as progress:
        view = compare(bot, moment, progress)
    show(ctx, view, draw_reconciliation)
    exit_with(0 if view.same else 1)


def recover(
    ctx: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Write it; without, only say what differs.")] = False,
    since: Since = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild open trades from the exchange's own records.

    For a database that is lost, damaged or restored from a backup. Looks back 90 days. Sends no order. With --apply
    botctl is paused afterwards: `botctl reconcile`, then `botctl resume`.

    \b
    Examples:
      botctl recover
      botctl recover --apply
    """
    from botctl.reconciliation.rebuild import apply_rebuild, plan_rebuild

    moment = since_from(since)
    config = config_from(ctx)
    if apply:
        confirm(f"Rebuild the {config.settings.botctl_mode} trades from the exchange's records?", yes=yes)
    errors: list[BotError] = []
    with open_for_recovery(config, apply=apply) as session:
        bot, damage = session.bot, session.damage
        if damage:
            print(f"botctl: {config.database} is damaged: {damage.complaint}", file=sys.stderr)
        if apply:
            errors += bot.settlement.settle_unfinished_orders()
        moment = moment or bot.clock.now() - RECOVER_SPAN
        with progress_bar(ctx, "asking the exchange for its orders") as progress:
            plan = plan_rebuild(bot, moment, progress)
        if apply:
            apply_rebuild(bot, plan, fresh=damage is not None)
    aside = damage.moved_to if damage and apply else None
    if aside:
        print(f"botctl: the damaged database was moved to {aside}; nothing of it was deleted", file=sys.stderr)
    errors += plan.problems
    log_errors(errors)
    view = RecoverView(
        since=moment,
        applied=apply,
        actions=plan.views,
        same_trades=plan.same_trades,
        foreign_orders=plan.foreign_orders,
        damaged_file=str(aside) if aside else None,
        notes=plan.notes,
        errors=[str(error) for error in errors],
    )
    show(ctx, view, draw_recovery)
    exit_with(exit_code_of(errors))


def register(app: typer.Typer) -> None:
    app.command("reconcile")(reconcile)
    app.command("recover")(recover)
