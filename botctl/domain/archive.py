"""What a kept history gains from newly told candles: it only ever grows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from botctl.domain.candles import Candle


@dataclass(frozen=True)
class Merged:
    """A history with what it gained."""

    candles: list[Candle]
    added: int
    changed: list[int]
    """When candles opened that are now told differently. The kept ones stay: a history must not change its past."""


def merge_candles(kept: Mapping[int, Candle], told: Iterable[Candle]) -> Merged:
    """`kept`, by when they opened, and those of `told` that are new."""
    told = list(told)
    new = {candle.time: candle for candle in told if candle.time not in kept}
    changed = [candle.time for candle in told if candle.time in kept and kept[candle.time] != candle]
    merged = {**kept, **new}
    return Merged([merged[time] for time in sorted(merged)], len(new), changed)


def find_gaps(times: Sequence[int], seconds: int) -> list[tuple[int, int]]:
    """Where candles of this length are absent: when the first and the last absent one of each gap opened."""
    return [(earlier + seconds, later - seconds) for earlier, later in pairwise(times) if later - earlier > seconds]
