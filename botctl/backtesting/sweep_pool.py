"""Runs a sweep on all cores: threads take one batch of the grid after another; compiled code releases the GIL."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local

from botctl.backtesting.parameter_grid import Point
from botctl.backtesting.sweep import Score, SweepRunner

BATCHES_PER_WORKER = 8
"""Enough that all workers end at about the same time, few enough that cached exits are used again."""
MAX_BATCH = 2000
"""Sets of a batch: a fraction of a second, so that Ctrl-C and the progress bar need not wait."""


def score_in_parallel(
    runner: SweepRunner, points: Sequence[Point], workers: int | None = None
) -> Iterator[list[Score]]:
    """The scores of all points, batch by batch, in their order."""
    count = workers or os.cpu_count() or 1
    size = min(MAX_BATCH, max(1, -(-len(points) // (count * BATCHES_PER_WORKER))))
    runner.score(points[0])  # compiles once, before all threads need it
    thread = local()

    def score(batch: Sequence[Point]) -> list[Score]:
        if not hasattr(thread, "runner"):
            thread.runner = runner.clone()
        scores: list[Score] = thread.runner.score_all(batch)
        return scores

    pool = ThreadPoolExecutor(count)
    try:
        tasks = [pool.submit(score, points[at : at + size]) for at in range(0, len(points), size)]
        for task in tasks:
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)
