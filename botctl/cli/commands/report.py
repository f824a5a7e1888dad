"""report: trades, decisions and equity as an HTML page, or one chart as a picture."""

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botctl.cli.commands.study import backtest_options
from botctl.cli.context import JsonFlag, config_from, env_file_of, exit_with
from botctl.cli.log import log_errors
from botctl.cli.output import show
from botctl.cli.page.build import open_source
from botctl.cli.study_council import report_errors
from botctl.cli.views.files import draw_report
from botctl.config import load_sources, open_store
from botctl.domain.errors import BadValue, exit_code_of
from botctl.files import write_private
from botctl.reporting.build import build_report, draw_chart
from botctl.reporting.from_backtest import BacktestSource
from botctl.reporting.model import ReportView
from botctl.store.rows import Rows

if TYPE_CHECKING:
    from botctl.reporting.build import ReportSource

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        show_default="report.html, or backtest.html with FILE",
        help="Where to write the page.",
    ),
]
Chart = Annotated[
    str | None,
    typer.Option(
        "--chart", metavar="NAME", show_default="equity", help="The chart of --png: equity, drawdown or trade:ID."
    ),
]


@backtest_options.with_study_options
def report(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="Candle files to backtest; default: the database.")
    ] = None,
    output: Output = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    png: Annotated[
        Path | None,
        typer.Option(metavar="PATH", show_default="no picture", help="Write one chart as a PNG file instead."),
    ] = None,
    chart: Chart = None,
    trades: backtest_options.Trades = 100,
    *,
    options: backtest_options.StudyOptions,
    as_json: JsonFlag = False,
) -> None:
    """Write an HTML report of equity, trades and decisions.

    One self-contained HTML file: of the database, without network, or of a backtest of FILE. Needs the extra `report`.

    \b
    Examples:
      botctl report --open
      botctl report BTC-USD_15m.csv --from 2024-01-01 --output btc.html
      botctl report --png trade.png --chart trade:7
    """
    from botctl.reporting.html import load_plotly
    from botctl.reporting.png import check_installed

    _check_suffix("--output", output, ".html")
    _check_suffix("--png", png, ".png")
    if chart is not None and png is None:
        raise BadValue("--chart needs --png", hint="add --png CHART.png")
    wants_page = png is None or output is not None or open_page
    plotly = load_plotly() if wants_page else ""
    if png:
        check_installed()
    with _open_source(ctx, files, options) as (source, default_page):
        page = (output or default_page) if wants_page else None
        view = _write(source, page, png, chart or "equity", trades, plotly)
        every = source.trades()
        broken = every.broken if isinstance(every, Rows) else []
    log_errors(broken)
    show(ctx, view, draw_report, name_mode=False)
    if open_page and page and not webbrowser.open(page.absolute().as_uri()):
        print(f"botctl: no browser found: open {page} yourself", file=sys.stderr)
    exit_with(exit_code_of(broken))


@contextmanager
def _open_source(
    ctx: typer.Context, files: list[str] | None, options: backtest_options.StudyOptions
) -> "Iterator[tuple[ReportSource, Path]]":
    """A backtest of the files, or the database; and the default path of its page."""
    if files:
        folder, study = load_sources(env_file_of(ctx)).folder, backtest_options.load_study(ctx, files, options)
        run = study.backtest(ctx)
        report_errors(run.view.errors)
        yield BacktestSource(run, study.histories, study.settings), folder / "backtest.html"
        return
    for name in options:
        hint = "give a file of candles, or omit it"
        raise BadValue(f"{backtest_options.flag_of(name)} is for a backtest of FILE", hint=hint)
    config = config_from(ctx, looks=True)
    with open_store(config):
        yield open_source(config), config.folder / "report.html"


def _write(
    source: "ReportSource", page: Path | None, png: Path | None, chart: str, trades: int, plotly: str
) -> ReportView:
    """Write the files, after everything was drawn without an error."""
    from botctl.reporting.html import render_page
    from botctl.reporting.png import draw_png

    picture = draw_png(draw_chart(source, chart)) if png else b""
    drawn, total = 0, len(source.trades())
    if page:
        built = build_report(source, max_drawn=trades, made_at=datetime.now(UTC))
        write_private(page, render_page(built, plotly).encode())
        drawn = len(built.drawn)
    if png:
        write_private(png, picture)
    file, png_file = (str(path.absolute()) if path else None for path in (page, png))
    return ReportView(file=file, png=png_file, trades=total, trades_drawn=drawn)


def _check_suffix(flag: str, path: Path | None, suffix: str) -> None:
    """An existing file is replaced, so the path must not be a database or candles."""
    if path and path.suffix.lower() != suffix:
        raise BadValue(f"{flag} {path} must end in {suffix}", hint=f"name it {path.stem or 'report'}{suffix}")
