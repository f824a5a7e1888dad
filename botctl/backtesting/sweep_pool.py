"""Plays a sweep on all cores: threads take one stretch of the grid after another; compiled code runs beside itself."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local

from botctl.backtesting.parameter_grid import Point
from botctl.backtesting.sweep import Score, SweepRunner

STRETCHES = 8
"""For each worker: many enough that all end at about the same time, few enough that exits found serve again."""
MOST = 2000
"""Sets of a stretch: a fraction of a second, so that Ctrl-C and the progress bar need not wait."""


def play_grid(trial: SweepRunner, points: Sequence[Point], workers: int | None = None) -> Iterator[list[Score]]:
    """The scores of all points, a stretch at a time, in their order."""
    count = workers or os.cpu_count() or 1
    size = min(MOST, max(1, -(-len(points) // (count * STRETCHES))))
    trial.score(points[0])  # compiled once, before all ask for it
    own = local()

    def score(stretch: Sequence[Point]) -> list[Score]:
        if not hasattr(own, "trial"):
            own.trial = trial.clone()
        scores: list[Score] = own.trial.score_all(stretch)
        return scores

    pool = ThreadPoolExecutor(count)
    try:
        tasks = [pool.submit(score, points[at : at + size]) for at in range(0, len(points), size)]
        for task in tasks:
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)
