"""What init, demo, doctor, config and notify answer."""

from collections.abc import Sequence

from botctl.cli.results import ConfigLine, InitView, NotifyView
from botctl.cli.tables import Coloured, Drawing, draw_table, group, pairs
from botctl.cli.views.positions import draw_trades
from botctl.domain.checks import CheckResult
from botctl.domain.text import UNKNOWN, format_money
from botctl.queries.results import DemoView

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def draw_checks(rows: Sequence[CheckResult]) -> Drawing:
    return draw_table(
        ("check", "", "what"),
        [
            [row.name, Coloured(row.status, COLOURS[row.status]), row.detail + (f"\n-> {row.fix}" if row.fix else "")]
            for row in rows
        ],
    )


def draw_config(rows: Sequence[ConfigLine]) -> str:
    return pairs([(row.name, f"{row.value or UNKNOWN} ({row.file or row.source})") for row in rows])


def draw_notifications(rows: Sequence[NotifyView]) -> str:
    return pairs(
        [
            (f"{place}. {row.service}", ("ok: " if row.ok else "FAILED: ") + row.detail)
            for place, row in enumerate(rows, 1)
        ]
    )


def draw_init(view: InitView) -> Drawing:
    rows = [
        ("mode", view.mode),
        ("settings", f"{view.env_file} ({'written' if view.env_written else 'kept as it is'})"),
        ("database", f"{view.database} ({'made' if view.database_created else 'was there'})"),
    ]
    return pairs([*rows, *[("next", step) for step in view.next]])


def draw_demo(view: DemoView) -> Drawing:
    decided = ", ".join(f"{count} {name}" for name, count in sorted(view.decisions.items()))
    return group(
        draw_trades(view.trades) if view.trades else "no trades",
        f"{view.ticks} ticks of the synthetic tape: {len(view.trades)} trades; the Council said {decided}",
        f"equity {format_money(view.equity)} of {format_money(view.initial_balance)}",
    )
