"""Properties that are tried on drawn cases: hypothesis shrinks what fails, and a seed plays it again."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis.strategies import SearchStrategy

from tests.chaos.campaign import SEPARATOR
from tests.chaos.scenes import Stage


@dataclass(frozen=True)
class Property:
    """What must hold for every case that can be drawn. `batch` cases make one trial, and share one `rig`."""

    name: str
    cases: SearchStrategy[Any]
    rig: Callable[[Stage], AbstractContextManager[Any]]
    holds: Callable[[Any, Any], object]
    batch: int = 100


@contextmanager
def bare_stage(stage: Stage) -> Iterator[Stage]:
    """The rig of a property that needs nothing but the stage."""
    yield stage


def try_cases(wanted: Property, stage: Stage, seed: int, count: int) -> int:
    """Try `count` drawn cases; how many it was. Raises AssertionError with the smallest case that fails."""
    tried = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(wanted.cases)
    def holds_for(case: Any) -> None:
        nonlocal tried
        tried += 1
        wanted.holds(rig, case)

    try:
        with wanted.rig(stage) as rig:
            holds_for()
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        raise AssertionError(f"{type(error).__name__}: {str(error)[:3000]}\n{notes[:3000]}") from error
    return tried


class Fuzz:
    """A chapter of properties: `fuzz: settings: seed 17, 100 cases`."""

    def __init__(self, name: str, about: str, find: Callable[[], Iterable[Property]]) -> None:
        self.name = name
        self.about = about
        self._find = find  # strategies can't travel to another process, but the name of a function can

    @property
    def properties(self) -> dict[str, Property]:
        return {wanted.name: wanted for wanted in self._find()}

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """`runs` cases of every property, in trials of its own size."""
        for wanted in self.properties.values():
            for number, left in enumerate(range(runs, 0, -wanted.batch)):
                cases = min(left, wanted.batch)
                yield SEPARATOR.join((self.name, wanted.name, f"seed {seed + number}, {cases} cases"))

    def play(self, stage: Stage, trial: str) -> int:
        _, name, drawn = trial.split(SEPARATOR)
        seed, count = (part.split()[index] for part, index in zip(drawn.split(", "), (1, 0), strict=True))
        return try_cases(self.properties[name], stage, int(seed), int(count))
