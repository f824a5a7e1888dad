"""Ranks the sets of a sweep, and warns of how little the ranking may mean."""

from collections.abc import Callable, Mapping, Sequence
from math import isinf

from botctl.backtesting.parameter_grid import Axis, Point, neighbours, values_at
from botctl.backtesting.results import SweepFigures, SweepRow, SweepView
from botctl.backtesting.sweep import Score

MEASURES: Mapping[str, Callable[[SweepFigures], float]] = {
    "return": lambda figures: figures.returned,
    "sharpe": lambda figures: float("-inf") if figures.sharpe is None else figures.sharpe,
    "drawdown": lambda figures: -figures.max_drawdown,
}
"""What sets may be ranked by; more is better in each."""
FEW_TRADES = 30
"""Fewer trades are too small a sample."""


def rank(scores: Sequence[Score], by: str) -> list[Score]:
    """The best first, by the train part; equals in the grid's order."""
    return sorted(scores, key=lambda score: (-MEASURES[by](score.train), score.point))


def summarize_sweep(axes: Sequence[Axis], scores: Sequence[Score], by: str, train: float, top: int) -> SweepView:
    """The `top` best of ranked scores, with warnings."""
    ranked_by = {score.point: MEASURES[by](score.train) for score in scores}
    rows = [_row(axes, score, ranked_by) for score in scores[:top]]
    return SweepView(len(scores), by, train, rows, _warnings(scores, rows, by, train))


def _row(axes: Sequence[Axis], score: Score, ranked_by: Mapping[Point, float]) -> SweepRow:
    around = [ranked_by[point] for point in neighbours(axes, score.point) if point in ranked_by]
    return SweepRow(
        settings=values_at(axes, score.point),
        train=score.train,
        test=score.test,
        neighbours=len(around),
        neighbours_low=_finite(min(around, default=None)),
        neighbours_high=_finite(max(around, default=None)),
    )


def _finite(figure: float | None) -> float | None:
    """None for a set without a Sharpe ratio, which ranks below all others at minus infinity."""
    return None if figure is None or isinf(figure) else figure


def _warnings(scores: Sequence[Score], rows: Sequence[SweepRow], by: str, train: float) -> list[str]:
    if not rows:
        return []
    return [
        f"The best of {len(scores):,} sets is the best partly by luck: with enough sets one of them fits any past.",
        "Trust a set whose neighbours do about as well, and which also does well where it was not chosen (test).",
        *_test_warnings(rows[0], scores, by, train),
        *_train_warnings(rows[0], by),
    ]


def _test_warnings(best: SweepRow, scores: Sequence[Score], by: str, train: float) -> list[str]:
    """How the best set does where it was not chosen."""
    if best.test is None:
        return ["Nothing was kept aside to test the choice on: --train 0.7 keeps the last 30 %."]
    tested = sorted((MEASURES[by](score.test) for score in scores if score.test), reverse=True)
    rank = tested.index(MEASURES[by](best.test)) + 1
    warnings = [f"On the test part the best set is number {rank:,} of {len(tested):,}."]
    if _falls_short(best.train, best.test, by, train) or rank > (len(tested) + 1) / 2:
        warnings.append("That is far below its result on the first part: it is overfitted.")
    return warnings


def _train_warnings(best: SweepRow, by: str) -> list[str]:
    """Why the best set may be chance on the part where it was chosen."""
    warnings = []
    if best.neighbours_low is not None and best.neighbours_low < 0 < MEASURES[by](best.train):
        warnings.append("A small step away from the best set loses: it is a peak, not a plateau.")
    if best.train.trades < FEW_TRADES:
        warnings.append(f"It made only {best.train.trades} trades: too few to tell skill from chance.")
    return warnings


def _falls_short(train_figures: SweepFigures, test_figures: SweepFigures, by: str, train: float) -> bool:
    """Whether the test part has less than half of the train part's result, or lost half as much again."""
    # A return is scaled to the test part's shorter time.
    expected = MEASURES[by](train_figures) * ((1 - train) / train if by == "return" else 1)
    return MEASURES[by](test_figures) < expected - abs(expected) / 2
