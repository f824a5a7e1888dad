"""Whether a moment that was written down is still of now: one rule for every age, whatever clock wrote it."""

from datetime import datetime, timedelta

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far ahead a moment may lie: clocks differ a little. Beyond that it is of a clock that was wrong."""


def is_fresh(then: datetime, now: datetime, max_age: timedelta, *, tolerance: timedelta = CLOCK_TOLERANCE) -> bool:
    """Whether `then` is less than `max_age` ago, and not in the future."""
    return now - then < max_age and not is_ahead(then, now, tolerance=tolerance)


def is_ahead(then: datetime, now: datetime, *, tolerance: timedelta = CLOCK_TOLERANCE) -> bool:
    """Whether `then` is in the future: nothing can be told from it but that a clock was wrong."""
    return then - now > tolerance


def is_in_force(until: datetime, now: datetime, longest: timedelta) -> bool:
    """Whether something that ends at `until` and never lasts longer than `longest` goes on. An end that lies further
    ahead is of a clock that was wrong, and no end at all."""
    return timedelta(0) < until - now <= longest


def format_duration(span: timedelta) -> str:
    """A duration in its largest unit: 24 min, 5 h, 3 d."""
    minutes = max(0, round(span.total_seconds() / 60))
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"
