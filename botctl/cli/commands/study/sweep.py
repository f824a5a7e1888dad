"""sweep: many parameter sets on one history, ranked on its first part and tested on the rest."""

from itertools import count
from typing import Annotated

import typer

from botctl.backtesting.parameter_grid import arrange, count_points, parse_axis, points
from botctl.backtesting.ranking import MEASURES, rank, summarize_sweep
from botctl.backtesting.sweep import Score, SweepRunner
from botctl.backtesting.sweep_pool import score_in_parallel
from botctl.cli.commands.study import backtest_options
from botctl.cli.context import JsonFlag
from botctl.cli.output import progress_bar, show
from botctl.cli.views.backtest import draw_sweep
from botctl.domain.errors import BadValue

MAX_SETS = 1_000_000
GRID_HELP = "A setting and its values, such as atr_multiple=1:4:0.25 or cooldown_minutes=0,60; repeatable."
TRAIN_HELP = "The first part of the history, to rank on; the rest is the test, 1 leaves none."


@backtest_options.with_study_options
def sweep(
    ctx: typer.Context,
    files: backtest_options.Files,
    grid: Annotated[list[str], typer.Option(metavar="NAME=VALUES", help=GRID_HELP)],
    train: Annotated[float, typer.Option(metavar="FRACTION", min=0.05, max=1.0, help=TRAIN_HELP)] = 0.7,
    by: Annotated[str, typer.Option(metavar="FIGURE", help="What to rank by: return, sharpe or drawdown.")] = "return",
    top: Annotated[int, typer.Option(metavar="COUNT", min=1, max=1000, help="Show the best COUNT sets.")] = 10,
    workers: Annotated[
        int | None, typer.Option(metavar="COUNT", min=1, max=1024, show_default="all cores", help="Processes to run.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", show_default="no study", help="Join an Optuna study in this database.")
    ] = None,
    study_name: Annotated[
        str, typer.Option("--study", metavar="NAME", help="The name of the study in --storage.")
    ] = "botctl",
    trials: Annotated[int, typer.Option(metavar="COUNT", min=1, help="How many sets of the study to try.")] = 100,
    *,
    options: backtest_options.StudyOptions,
    as_json: JsonFlag = False,
) -> None:
    """Backtest every combination of some settings.

    The sets of settings are ranked on the first part of the history and tested on the
    rest, which had no influence on the ranking. Each set is shown with its neighbours.

    \b
    Examples:
      botctl sweep XBTUSD_15.csv --grid atr_multiple=1:4:0.25
      botctl sweep XBTUSD_15.csv --grid atr_multiple=1:6:0.1 --storage mysql://...
    """
    axes = arrange([parse_axis(text) for text in grid])
    if by not in MEASURES:
        raise BadValue(f"--by must be one of {', '.join(MEASURES)}, not {by!r}")
    if train != train:
        raise BadValue("--train must be a number from 0.05 to 1, not 'nan'")
    if (sets := count_points(axes)) > MAX_SETS and storage is None:
        raise BadValue(f"{sets:,} sets are more than {MAX_SETS:,}", hint="use wider steps, or a study with --storage")
    study = backtest_options.load_study(ctx, files, options)
    runner = SweepRunner(
        study.histories, study.values, study.sentiment, axes, train, study.since, study.until, study.council.source
    )
    if storage is None:
        scores = _run_grid(ctx, runner, workers)
    else:
        scores = _join_study(ctx, runner, by, storage, study_name, trials)
    show(ctx, summarize_sweep(axes, rank(scores, by), by, train, top), draw_sweep, name_mode=False)


def _run_grid(ctx: typer.Context, runner: SweepRunner, workers: int | None) -> list[Score]:
    grid = list(points(runner.axes))
    scores: list[Score] = []
    with progress_bar(ctx, "sweeping") as progress:
        for some in score_in_parallel(runner, grid, workers):
            scores += some
            progress(len(scores), len(grid))
    return scores


def _join_study(ctx: typer.Context, runner: SweepRunner, by: str, storage: str, name: str, trials: int) -> list[Score]:
    """The scores of every set that this or another machine has tried for a study."""
    from botctl.backtesting.optuna_study import join_study

    done = count(1)
    with progress_bar(ctx, "sweeping") as progress:
        tried = join_study(
            runner.axes,
            lambda point: MEASURES[by](runner.score(point).train),
            storage=storage,
            name=name,
            parameters={**runner.study_parameters(), "by": by},
            trials=trials,
            after_each=lambda: progress(next(done), trials),
        )
    return [runner.score(point) for point in tried]
