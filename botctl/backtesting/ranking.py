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
    """The `top` best of ranked scores, with a verdict on the first, and warnings."""
    ranked_by = {score.point: MEASURES[by](score.train) for score in scores}
    rows = [_row(axes, score, ranked_by) for score in scores[:top]]
    verdict = _verdict(rows[0], scores, by, train) if rows else ""
    return SweepView(len(scores), by, train, rows, verdict, _warnings(scores, rows))


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


def _warnings(scores: Sequence[Score], rows: Sequence[SweepRow]) -> list[str]:
    """What holds of every sweep."""
    if not rows:
        return []
    return [
        f"The best of {len(scores):,} sets is the best partly by luck: with enough sets one of them fits any past.",
        "Trust a set whose neighbours do about as well, and which also does well where it was not chosen (test).",
    ]


def _verdict(best: SweepRow, scores: Sequence[Score], by: str, train: float) -> str:
    """One sentence on the best set: all that speaks against it, or else what speaks for it."""
    place = "" if best.test is None else _place(best.test, scores, by)
    doubts = [*_train_doubts(best, by), *_test_doubts(best, scores, by, train, place)]
    if doubts:
        return f"Don't trust the best set: {'; '.join(doubts)}."
    return f"The best set also does well where it was not chosen: on the test part it is {place}."


def _place(test: SweepFigures, scores: Sequence[Score], by: str) -> str:
    tested = _tested(scores, by)
    return f"number {tested.index(MEASURES[by](test)) + 1:,} of {len(tested):,}"


def _tested(scores: Sequence[Score], by: str) -> list[float]:
    return sorted((MEASURES[by](score.test) for score in scores if score.test), reverse=True)


def _test_doubts(best: SweepRow, scores: Sequence[Score], by: str, train: float, place: str) -> list[str]:
    """How the best set fails where it was not chosen."""
    if best.test is None:
        return ["nothing was kept aside to test it on, as --train 0.7 keeps the last 30 %"]
    tested = _tested(scores, by)
    if tested.index(MEASURES[by](best.test)) + 1 > (len(tested) + 1) / 2:
        return [f"it is overfitted, only {place} on the test part"]
    if _falls_short(best.train, best.test, by, train):
        return [f"it is overfitted, {place} on the test part but far below its result on the first"]
    return []


def _train_doubts(best: SweepRow, by: str) -> list[str]:
    """Why the best set may be chance on the part where it was chosen."""
    doubts = []
    if best.train.returned < 0:
        doubts.append("it loses even on the part where it was chosen")
    if best.neighbours_low is not None and best.neighbours_low < 0 < MEASURES[by](best.train):
        doubts.append("a small step away from it loses, so it is a peak, not a plateau")
    if best.train.trades < FEW_TRADES:
        doubts.append(f"it made only {best.train.trades} trades, too few to tell skill from chance")
    return doubts


def _falls_short(train_figures: SweepFigures, test_figures: SweepFigures, by: str, train: float) -> bool:
    """Whether the test part has less than half of the train part's result, or lost half as much again."""
    # A return is scaled to the test part's shorter time.
    expected = MEASURES[by](train_figures) * ((1 - train) / train if by == "return" else 1)
    return MEASURES[by](test_figures) < expected - abs(expected) / 2
