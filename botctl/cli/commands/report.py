"""report: what happened, as one page to look at, or one picture."""

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botctl.cli.commands import backtest_options
from botctl.cli.context import JsonFlag, config_from, env_file_of
from botctl.cli.output import show
from botctl.cli.views.files import draw_report
from botctl.config import open_store, read_values
from botctl.domain.errors import BadValue
from botctl.queries.portfolio import now_offline
from botctl.reporting.model import ReportView
from botctl.wiring import find_candles

if TYPE_CHECKING:
    from botctl.reporting.build import ReportSource


@backtest_options.with_study_options
def report(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...]", help="Candles to backtest, as for `backtest`; none: this home's database."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Default: report.html in the home, backtest.html with FILE."
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="PATH", help="Write one chart as a PNG instead of the page.")
    ] = None,
    chart: Annotated[
        str | None,
        typer.Option("--chart", metavar="NAME", help="Which, with --png: equity (default), drawdown or trade:ID."),
    ] = None,
    trades: Annotated[
        int, typer.Option("--trades", "-n", metavar="COUNT", min=0, help="Draw so many trades, the newest.")
    ] = 100,
    *,
    options: backtest_options.StudyOptions,
    as_json: JsonFlag = False,
) -> None:
    """Write a page of curves, trades and decisions.

    One HTML file, trades drawn on their candles, that loads nothing from anywhere: of this home's database, without
    network, or with FILE of a backtest. Needs the extra `report`.

    \b
    Examples:
      botctl report --open
      botctl report BTC-USD_15m.csv --from 2024-01-01 --output btc.html
      botctl report --png trade.png --chart trade:7
    """
    from botctl.reporting.html import load_plotly
    from botctl.reporting.png import check_installed

    _check_ending("--output", output, ".html")
    _check_ending("--png", png, ".png")
    if chart is not None and png is None:
        raise BadValue("--chart chooses what --png writes, and there is no --png", hint="add --png CHART.png")
    wants_page = png is None or output is not None or open_it
    plotly = load_plotly() if wants_page else ""
    if png:
        check_installed()
    with _open_source(ctx, files, options) as (source, usual_page):
        page = (output or usual_page) if wants_page else None
        view = _write(source, page, png, chart or "equity", trades, plotly)
    show(ctx, view, draw_report, name_mode=False)
    if open_it and view.file:
        _open(Path(view.file))


@contextmanager
def _open_source(
    ctx: typer.Context, files: list[str] | None, options: backtest_options.StudyOptions
) -> "Iterator[tuple[ReportSource, Path]]":
    """What is reported (a backtest of the files, or the database), and where its page goes if nowhere else."""
    if files:
        folder, _, _ = read_values(env_file_of(ctx))
        yield _backtest(backtest_options.load_study(ctx, files, options)), folder / "backtest.html"
        return
    from botctl.reporting.from_database import DatabaseSource

    _refuse_study_options(options)
    config = config_from(ctx)
    with open_store(config):
        now = now_offline(config.settings.botctl_mode)
        source = DatabaseSource(config.settings, config.switch, now, lambda symbol: find_candles(config, symbol))
        yield source, config.folder / "report.html"


def _backtest(given: backtest_options.Study) -> "ReportSource":
    from botctl.backtesting.backtest import Backtest
    from botctl.reporting.from_backtest import BacktestSource

    run = Backtest(given.histories, given.settings, given.sentiment, since=given.since, until=given.until).run()
    return BacktestSource(run, given.histories, given.settings)


def _write(
    source: "ReportSource", page: Path | None, png: Path | None, chart: str, trades: int, plotly: str
) -> ReportView:
    """Draw everything before anything is written."""
    from botctl.adapters.clock import SystemClock
    from botctl.files import write_private
    from botctl.reporting.build import build_report, draw_chart
    from botctl.reporting.html import render_page
    from botctl.reporting.png import draw_png

    picture = draw_png(draw_chart(source, chart)) if png else b""
    drawn, every = 0, len(source.trades())
    if page:
        built = build_report(source, max_drawn=trades, made_at=SystemClock().now())
        write_private(page, render_page(built, plotly).encode())
        drawn = len(built.drawn)
    if png:
        write_private(png, picture)
    file, picture_file = (str(path.absolute()) if path else None for path in (page, png))
    return ReportView(file=file, png=picture_file, trades=every, trades_drawn=drawn)


def _check_ending(flag: str, path: Path | None, ending: str) -> None:
    """Whatever lies under that name is replaced: it must not be a database, nor candles."""
    if path and path.suffix.lower() != ending:
        raise BadValue(f"{flag} {path} must end in {ending}", hint=f"name it {path.stem or 'report'}{ending}")


def _refuse_study_options(options: backtest_options.StudyOptions) -> None:
    """They mean nothing to a database: what is in there has happened."""
    for name in options.given():
        raise BadValue(
            f"{backtest_options.flag_of(name)} is for a backtest, and there is no FILE",
            hint="name a file of candles, or leave it out",
        )


def _open(page: Path) -> None:
    if not webbrowser.open(page.as_uri()):
        print(f"botctl: no browser was found: open {page} yourself", file=sys.stderr)


def register(app: typer.Typer) -> None:
    app.command("report")(report)
