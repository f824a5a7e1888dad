"""What the Council has decided on a symbol before: read only if a member looks, as most do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from botctl.ports import PastDecision
from botctl.store.decisions import newest_decisions


@dataclass(frozen=True)
class PastDecisions(Sequence[PastDecision]):
    """The newest decisions on a symbol, newest first."""

    symbol: str
    most: int

    @cached_property
    def _loaded(self) -> list[PastDecision]:
        rows = newest_decisions(self.symbol, self.most)
        return [PastDecision(row.decided_at, row.decision, row.reason, row.outcome) for row in rows]

    @overload
    def __getitem__(self, place: int) -> PastDecision: ...

    @overload
    def __getitem__(self, place: slice) -> list[PastDecision]: ...

    def __getitem__(self, place: int | slice) -> PastDecision | list[PastDecision]:
        return self._loaded[place]

    def __len__(self) -> int:
        return len(self._loaded)
