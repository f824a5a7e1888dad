"""Plays trials: by name, on all cores, and counts what was tried and what failed.

A trial is a text that says all there is to know of it, such as `kills: a buy by hand: request lost: 3`. Whoever has
the text can play it again.
"""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.chaos.processes import Processes
from tests.chaos.scenes import Stage

SEPARATOR = ": "


class Chapter(Protocol):
    """One way of breaking things."""

    name: str
    """The first word of its trials."""
    about: str
    """What it does, for the table of figures."""

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every trial of this chapter; where they are drawn, `runs` of them, by `seed`."""

    def play(self, stage: Stage, trial: str) -> int:
        """Play one trial; how many cases it was. Raises AssertionError when a promise is broken."""


@dataclass(frozen=True)
class Outcome:
    """How one trial went. `failure` is empty when every promise was kept."""

    trial: str
    cases: int
    failure: str = ""


@dataclass
class Figures:
    """What was tried under one heading, and what failed."""

    cases: int = 0
    failures: list[Outcome] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        self.cases += outcome.cases
        if outcome.failure:
            self.failures.append(outcome)


def heading(trial: str) -> str:
    """The class of faults that a trial belongs to: all of its words but the last."""
    return trial.rsplit(SEPARATOR, 1)[0]


def attempt(chapters: Sequence[Chapter], stage: Stage, trial: str) -> Outcome:
    """Play a trial, whatever comes of it."""
    name = trial.split(SEPARATOR, 1)[0]
    chapter = next(chapter for chapter in chapters if chapter.name == name)
    try:
        return Outcome(trial, chapter.play(stage, trial))
    except Exception as error:  # noqa: BLE001 - a trial that can't be played is as bad as one that fails
        return Outcome(trial, 1, f"{type(error).__name__}: {error}")


def play_all(chapters: Sequence[Chapter], trials: Iterable[str], workers: int) -> Iterator[Outcome]:
    """Play trials in `workers` processes, each with a stage of its own, in whatever order they end."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _begin, (chapters,)) as pool:
        yield from pool.imap_unordered(_play_one, trials)


def default_workers() -> int:
    """One more than there are cores: most of a trial is waiting."""
    return (os.cpu_count() or 1) + 1


_chapters: Sequence[Chapter] = ()
_stage: Stage | None = None


def _begin(chapters: Sequence[Chapter]) -> None:
    global _chapters, _stage
    _chapters, _stage = chapters, Stage(Processes())


def _play_one(trial: str) -> Outcome:
    assert _stage is not None
    return attempt(_chapters, _stage, trial)
