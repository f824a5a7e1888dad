"""An outage in one line: what could not be reached and why, what was left undone, and when it is tried again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from botctl.domain.errors import BotError, NoAnswer

NEXT_RUN = "the next run tries again"


def as_one_outage(errors: Sequence[BotError], effects: str, again: str) -> list[BotError]:
    """The same errors with one NoAnswer, in the place of the first, instead of all of them."""
    outages = [error for error in errors if isinstance(error, NoAnswer)]
    if not outages:
        return list(errors)
    causes = ", ".join(dict.fromkeys(error.why for error in outages))
    outage = NoAnswer(causes, where=outages[0].where, effects=effects, hint=again)
    outage.__cause__ = outages[0]
    first = list(errors).index(outages[0])
    others = [error for error in errors if not isinstance(error, NoAnswer)]
    before = sum(not isinstance(error, NoAnswer) for error in errors[:first])
    return [*others[:before], outage, *others[before:]]


def next_tick(last_tick: datetime | None, now: datetime, seconds: int) -> str:
    """When the next tick is due by the last one; without a recent one nobody knows. `seconds` is between two ticks."""
    if last_tick is None or not timedelta(0) <= now - last_tick < timedelta(seconds=2 * seconds):
        return NEXT_RUN
    left = (last_tick + timedelta(seconds=seconds) - now).total_seconds()
    return f"the next tick tries again in {max(1, round(left / 60))} min"
