"""A curve in one line of text."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars, oldest first: the lowest is the lowest bar. More than `width` of them are thinned, and the
    last value always stands at the end. A curve that never moved is a flat one."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    picked = [values[-1 - round(step * (len(values) - 1) / max(count - 1, 1))] for step in range(count)][::-1]
    low, span = min(picked), max(picked) - min(picked)
    if span <= 0:
        return BARS[len(BARS) // 2] * count
    return "".join(BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)] for value in picked)
