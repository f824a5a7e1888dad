"""The files that fetch and report wrote."""

from collections.abc import Sequence

from botctl.cli.tables import pairs
from botctl.domain.text import format_time
from botctl.market_data.fetch import FetchView
from botctl.reporting.model import ReportView


def draw_fetched(rows: Sequence[FetchView]) -> str:
    lines = []
    for row in rows:
        total = f"{row.candles:,} from {format_time(row.first)} to {format_time(row.last)}"
        lines += [(f"{row.symbol} {row.timeframe}", f"{row.added:,} added, now {total}"), ("", row.file)]
    return pairs(lines)


def draw_report(view: ReportView) -> str:
    return "\n".join(path for path in (view.file, view.png) if path)
