"""The story of one game of the state machine: what was played, step by step, and what went wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class Surprise(AssertionError):
    """botctl did what the model did not: the whole story, step by step."""


@dataclass
class Tally:
    """What was really played."""

    steps: int = 0
    runs: int = 0
    undisturbed: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """How undisturbed runs and the trades that they closed ended."""
    played: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The story of each failure that was met, also of those on the way to the shortest."""


class StepLog:
    """What happened in one game so far; its steps and runs are counted in `tally`."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.failed = False
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    def add_step(self, name: str, drawn: Mapping[str, object]) -> None:
        """A step begins."""
        words = ", ".join(f"{argument}={value}" for argument, value in drawn.items())
        self.tally.played.append(f"{name}({words})")
        self.add(f"{self.tally.steps + 1}. {self.tally.played[-1]}")

    def surprise(self, error: Exception, bugs: Sequence[str]) -> Surprise:
        """The failure with all that led to it, and with the fake Kraken's own bugs."""
        self.failed = True
        told = [f"the fake Kraken itself failed: {bug}" for bug in bugs]
        story = "\n".join([f"{type(error).__name__}: {error}", "how it came to that:", *self._lines, *told])
        self.tally.failures.append(story)
        return Surprise(story)
