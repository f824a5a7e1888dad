"""When the stop or the high of a trade moved, and from where, as its events tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from botctl.store.key_value import UNREADABLE
from botctl.store.models import Event

KINDS = ("stop moved", "new high", "corrected")


@dataclass(frozen=True)
class StopMove:
    at: datetime
    """By the exchange's clock, where it told."""
    stop_before: float
    high_before: float


def load_stop_moves(trade_id: int) -> Iterator[StopMove]:
    """Newest first. An event that can't be read is left out."""
    rows = Event.select(Event.id).where(Event.trade_id == trade_id, Event.kind.in_(KINDS)).order_by(Event.id.desc())
    for row in list(rows):
        try:
            event: Event = Event.get_by_id(row.id)
            told = event.after.get("seen_at")
            at = datetime.fromisoformat(told) if told else event.at
            if at.tzinfo is not None and "stop_loss_price" in event.after:
                yield StopMove(at, float(event.before["stop_loss_price"]), float(event.before["high_price"]))
        except UNREADABLE:
            continue
