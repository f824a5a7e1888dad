"""sweep: many sets of settings on one history, judged on its first part and shown on the rest."""

from typing import TYPE_CHECKING, Annotated

import typer

from botctl.cli.commands import backtest_options
from botctl.cli.context import JsonFlag, wants_json
from botctl.cli.output import progress, show
from botctl.domain.errors import BadValue

if TYPE_CHECKING:
    from botctl.backtesting.sweep import Score, SweepRunner

MAX_SETS = 1_000_000
GRID_HELP = "A setting and its values: atr_multiple=1:4:0.25 or cooldown_minutes=0,60. May be given several times."


@backtest_options.with_study_options
def sweep(
    ctx: typer.Context,
    files: backtest_options.Files,
    grid: Annotated[list[str], typer.Option("--grid", metavar="NAME=VALUES", help=GRID_HELP)],
    train: Annotated[
        float,
        typer.Option(
            "--train", metavar="FRACTION", min=0.05, max=1.0, help="Judge on this first part; 1 leaves no rest to show."
        ),
    ] = 0.7,
    by: Annotated[str, typer.Option("--by", metavar="FIGURE", help="return, sharpe or drawdown.")] = "return",
    top: Annotated[
        int, typer.Option("--top", metavar="COUNT", min=1, max=1000, help="Show so many of the best sets.")
    ] = 10,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="COUNT", min=1, max=1024, help="Default: all cores.")
    ] = None,
    storage: Annotated[str | None, typer.Option("--storage", metavar="URL", help="Join an Optuna study there.")] = None,
    study_name: Annotated[
        str, typer.Option("--study", metavar="NAME", help="The study's name, the same on every machine.")
    ] = "botctl",
    trials: Annotated[
        int, typer.Option("--trials", metavar="COUNT", min=1, help="How many sets this machine tries for a study.")
    ] = 100,
    *,
    options: backtest_options.StudyOptions,
    as_json: JsonFlag = False,
) -> None:
    """Try every set of a grid, and show the best.

    Sets are judged on the first part of the history; the rest shows what they do
    on candles that they were not chosen by. Beside each set its neighbours.

    \b
    Examples:
      botctl sweep XBTUSD_15.csv --grid atr_multiple=1:4:0.25
      botctl sweep XBTUSD_15.csv --grid atr_multiple=1:6:0.1 --storage mysql://...
    """
    from botctl.backtesting.parameter_grid import arrange, count_points, parse_axis
    from botctl.backtesting.ranking import MEASURES, rank, summarize_sweep
    from botctl.backtesting.sweep import SweepRunner
    from botctl.cli.views.backtest import draw_sweep

    axes = arrange([parse_axis(text) for text in grid])
    if by not in MEASURES:
        raise BadValue(f"--by {by!r} is not one of {', '.join(MEASURES)}", hint="give one of them")
    if train != train:
        raise BadValue("--train 'nan' is no part of a history", hint="give one from 0.05 to 1")
    if (count := count_points(axes)) > MAX_SETS and storage is None:
        raise BadValue(f"{count:,} sets are more than {MAX_SETS:,}", hint="take wider steps, or --storage for a study")
    given = backtest_options.load_study(ctx, files, options)
    runner = SweepRunner(given.histories, given.values, given.sentiment, axes, train, given.since, given.until)
    if storage is None:
        scores = _score_grid(runner, workers, quiet=wants_json(ctx))
    else:
        scores = _score_study(runner, by, storage, study_name, trials, quiet=wants_json(ctx))
    show(ctx, summarize_sweep(axes, rank(scores, by), by, train, top), draw_sweep, name_mode=False)


def _score_grid(runner: "SweepRunner", workers: int | None, *, quiet: bool) -> "list[Score]":
    """Every set of the grid, with a bar for who waits."""
    from botctl.backtesting.parameter_grid import points
    from botctl.backtesting.sweep_pool import score_in_parallel

    grid = list(points(runner.axes))
    scores: list[Score] = []
    with progress("sweeping", len(grid), quiet=quiet) as advance:
        for batch in score_in_parallel(runner, grid, workers):
            scores += batch
            advance(len(batch))
    return scores


def _score_study(runner: "SweepRunner", by: str, storage: str, name: str, trials: int, *, quiet: bool) -> "list[Score]":
    """So many sets of a study that other machines may be at work on as well; the scores of all of them."""
    from botctl.backtesting.optuna_study import join_study
    from botctl.backtesting.ranking import MEASURES

    with progress("studying", trials, quiet=quiet) as advance:
        tried = join_study(
            runner.axes,
            lambda point: MEASURES[by](runner.score(point).train),
            storage=storage,
            name=name,
            parameters={**runner.study_parameters(), "by": by},
            trials=trials,
            after_each=lambda: advance(1),
        )
    return [runner.score(point) for point in tried]


def register(app: typer.Typer) -> None:
    app.command("sweep")(sweep)
