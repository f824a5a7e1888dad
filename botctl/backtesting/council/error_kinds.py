"""Errors of many bars, as few lines: each kind once, with how often it occurred."""

import re
from dataclasses import dataclass, field


@dataclass
class ErrorKinds:
    """Errors that differ only in their numbers are of one kind."""

    _found: dict[str, tuple[str, set[int]]] = field(default_factory=dict, init=False)

    def add(self, bar: int, error: str) -> None:
        self._found.setdefault(re.sub(r"\d[\d.,]*", "#", error), (error, set()))[1].add(bar)

    def messages(self) -> list[str]:
        """Each kind by its first error, the most frequent first."""
        kinds = sorted(self._found.values(), key=lambda kind: -len(kind[1]))
        return [f"{error} (at {len(bars):,} bars)" if len(bars) > 1 else error for error, bars in kinds]
