"""What a sweep comes to: the best sets, what their neighbours did, and how little that may mean."""

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
"""What sets may be judged by; more is better in each."""
FEW_TRADES = 30
"""Fewer trades than that say next to nothing about a set."""


def rank(scores: Sequence[Score], by: str) -> list[Score]:
    """The best first, by what they did on the part they are judged by; equals in the grid's order, whoever was done
    first."""
    return sorted(scores, key=lambda score: (-MEASURES[by](score.train), score.point))


def summarize_sweep(axes: Sequence[Axis], scores: Sequence[Score], by: str, train: float, top: int) -> SweepView:
    """The `top` best of ranked scores, and in plain words what to think of them."""
    judged = {score.point: MEASURES[by](score.train) for score in scores}
    rows = [_row(axes, score, judged) for score in scores[:top]]
    return SweepView(len(scores), by, train, rows, _warnings(scores, rows, by, train))


def _row(axes: Sequence[Axis], score: Score, judged: Mapping[Point, float]) -> SweepRow:
    around = [judged[point] for point in neighbours(axes, score.point) if point in judged]
    return SweepRow(
        settings=values_at(axes, score.point),
        train=score.train,
        test=score.test,
        neighbours=len(around),
        neighbours_low=_known(min(around, default=None)),
        neighbours_high=_known(max(around, default=None)),
    )


def _known(figure: float | None) -> float | None:
    """A set without a Sharpe ratio ranks below all others, but that is no figure to show."""
    return None if figure is None or isinf(figure) else figure


def _warnings(scores: Sequence[Score], rows: Sequence[SweepRow], by: str, train: float) -> list[str]:
    if not rows:
        return []
    return [
        f"The best of {len(scores):,} sets is the best partly by luck: with enough sets one of them fits any past.",
        "Trust a set whose neighbours do about as well, and which also does well where it was not chosen (test).",
        *_warnings_of_test(rows[0], scores, by, train),
        *_warnings_of_choice(rows[0], by),
    ]


def _warnings_of_test(best: SweepRow, scores: Sequence[Score], by: str, train: float) -> list[str]:
    """How the best set does where it was not chosen."""
    if best.test is None:
        return ["Nothing was kept aside to test the choice on: --train 0.7 keeps the last 30 %."]
    tested = sorted((MEASURES[by](score.test) for score in scores if score.test), reverse=True)
    place = tested.index(MEASURES[by](best.test)) + 1
    words = [f"On the test part the best set is number {place:,} of {len(tested):,}."]
    if _falls_short(best.train, best.test, by, train) or place > (len(tested) + 1) / 2:
        words.append("That is far from what it promised: it was fitted to the first part.")
    return words


def _warnings_of_choice(best: SweepRow, by: str) -> list[str]:
    """What is against the best set where it was chosen."""
    words = []
    if best.neighbours_low is not None and best.neighbours_low < 0 < MEASURES[by](best.train):
        words.append("A small step away from the best set loses: it stands on a peak, not on a plateau.")
    if best.train.trades < FEW_TRADES:
        words.append(f"It made {best.train.trades} trades only: too few to tell skill from chance.")
    return words


def _falls_short(judged: SweepFigures, tested: SweepFigures, by: str, train: float) -> bool:
    """Whether the test part brought less than half of what the first part promised, or lost half as much again.

    A return is promised for a length of time, and the test part is the shorter one.
    """
    promised = MEASURES[by](judged) * ((1 - train) / train if by == "return" else 1)
    return MEASURES[by](tested) < promised - abs(promised) / 2
