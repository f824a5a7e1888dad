"""Results of init, demo, doctor, config and notify."""

from collections.abc import Mapping, Sequence

from botctl.cli.results import ConfigLine, InitView, NotifyView
from botctl.cli.tables import Coloured, Drawing, draw_rows, group, pairs
from botctl.cli.views.trades import draw_all_trades
from botctl.domain.health.checks import CheckResult
from botctl.domain.text import UNKNOWN, counted, format_money
from botctl.queries.results import DemoView

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def draw_checks(rows: Sequence[CheckResult]) -> Drawing:
    columns = {
        "check": lambda row: row.name,
        "": lambda row: Coloured(row.status, COLOURS[row.status]),
        "result": lambda row: row.detail + (f"\n-> {row.fix}" if row.fix else ""),
    }
    return draw_rows(rows, columns)


def draw_config(rows: Sequence[ConfigLine]) -> str:
    return pairs([(row.name, f"{row.value or UNKNOWN} ({row.file or row.source})") for row in rows])


def draw_notifications(rows: Sequence[NotifyView]) -> str:
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append((f"{number}. {row.service}", f"{'ok' if row.ok else 'FAILED'}: {row.detail}"))
    return pairs(lines)


def draw_init(view: InitView) -> str:
    rows = [
        ("mode", view.mode),
        ("settings", f"{view.env_file} ({'created' if view.env_written else 'kept'})"),
        ("database", f"{view.database} ({'created' if view.database_created else 'kept'})"),
    ]
    return pairs([*rows, *[("next", step) for step in view.next]])


def draw_demo(view: DemoView, decimals: Mapping[str, int], currency: str) -> Drawing:
    decisions, *verdicts = map(_counts, (view.decisions, *view.verdicts.values()))
    said = [f"{agent}: {counts}" for agent, counts in zip(view.verdicts, verdicts, strict=True)]
    played = f"{counted(view.ticks, 'tick')} of the demo market: {counted(len(view.trades), 'trade')}"
    start = format_money(view.initial_balance, currency)
    return group(
        draw_all_trades(view.trades, decimals) if view.trades else "no trades",
        f"{played}; decisions: {decisions}",
        *said,
        f"equity {format_money(view.equity, currency)}, from {start} at the start",
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
