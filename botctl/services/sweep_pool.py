"""Plays a sweep on all cores: each process has the histories once, and takes one stretch of the grid after another."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence

from botctl.domain.grid import Point
from botctl.services.sweep import Score, Trial

STRETCHES = 8
"""For each worker: many enough that all end at about the same time, few enough that exits found serve again."""
SMALL = 200
"""Sets up to which a second process would take longer to start than to help."""

_trial: Trial | None = None


def play_grid(trial: Trial, points: Sequence[Point], workers: int | None = None) -> Iterator[list[Score]]:
    """The scores of all points, a stretch at a time, in whatever order they are done."""
    count = workers or os.cpu_count() or 1
    size = max(1, -(-len(points) // (count * STRETCHES)))
    stretches = [points[at : at + size] for at in range(0, len(points), size)]
    trial.score(points[0])  # compiled and prepared once, before the others inherit it
    if count == 1 or len(points) <= SMALL:
        yield from ([trial.score(point) for point in stretch] for stretch in stretches)
        return
    global _trial
    _trial = trial
    with multiprocessing.get_context("fork").Pool(count, _leave_interrupts) as pool:
        yield from pool.imap_unordered(_score, stretches)


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the first one ends the others, without a traceback of each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _score(stretch: Sequence[Point]) -> list[Score]:
    assert _trial is not None
    return [_trial.score(point) for point in stretch]
