"""Whether the stop of an open trade is checked."""

from collections.abc import Collection
from datetime import datetime, timedelta

from botctl.domain.freshness import is_ahead, is_fresh
from botctl.domain.health.ticking import MIN_GRACE
from botctl.store.models import Trade


def unguarded_reason(
    trade: Trade, now: datetime, seconds: int, *, frozen: bool, gone: Collection[int] = ()
) -> str | None:
    """Why the stop of an open trade is not checked by ticks, if it is not. `seconds` is the time between two checks,
    `gone` are the trades whose market is gone.

    One failed check is no problem: the next one replays what it missed.
    """
    if trade.id in gone:
        return f"its market is gone: `botctl forget {trade.id}`"
    if frozen:
        return "frozen"
    if trade.stop_loss_price is None:
        return "no stop"
    if trade.checked_at is None:
        return "never checked"
    if not is_fresh(trade.checked_at, now, max(timedelta(seconds=1.5 * seconds), MIN_GRACE)):
        wrong = ", which is in the future: check this machine's clock" if is_ahead(trade.checked_at, now) else ""
        return f"last checked at {trade.checked_at:%Y-%m-%d %H:%M} UTC{wrong}"
    return None
