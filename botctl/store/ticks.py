"""The record of each tick, and the number of missed ticks."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.store import key_value
from botctl.store.models import Tick

MISSED = "ticks.missed"


def record_tick(
    at: datetime,
    *,
    seconds: float,
    ok: bool,
    exit_code: int,
    steps: Sequence[dict[str, Any]],
    equity: Decimal | None,
    drawdown: Decimal | None,
    drawdown_peak: Decimal | None,
) -> None:
    Tick.create(
        at=at, seconds=round(seconds, 3), ok=ok, exit_code=exit_code, steps=list(steps),
        equity=equity, drawdown=drawdown, drawdown_peak=drawdown_peak,
    )  # fmt: skip


def load_last_tick_at() -> datetime | None:
    """None also when it can't be read."""
    try:
        last: Tick | None = Tick.select(Tick.at).order_by(Tick.id.desc()).first()
    except key_value.UNREADABLE:
        return None
    return None if last is None else last.at


def load_missed_ticks() -> int:
    saved = key_value.load(MISSED)
    found = None if saved is None else key_value.parsed(MISSED, saved, int)
    return 0 if found is None else found[0]


def add_missed_ticks(missed: int) -> None:
    key_value.save(MISSED, str(load_missed_ticks() + missed))


def missed_between(last: datetime, now: datetime, seconds: int) -> int:
    """How many ticks should have run between two moments, rounded to the nearest whole interval."""
    return max(0, int(((now - last).total_seconds() + seconds / 2) // seconds) - 1)
