"""Since when nobody looked at the price of an open trade: the closes since then are replayed through its stop.

Candles are stamped by the exchange's clock, and so are good checks where it tells its time: this machine's clock may be
wrong. A moment in the future tells nothing, and no close counts that is from before the entry or the last move of the
stop.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from botctl.domain.freshness import is_ahead
from botctl.domain.markets import Quote
from botctl.store.evidence.stop_moves import load_stop_moves
from botctl.store.rows import TradeRow


@dataclass(frozen=True)
class Gap:
    since: datetime
    stop: float
    high: float
    """As they were then."""


def time_of(quote: Quote | None, now: datetime) -> datetime:
    """The exchange's time of a quote; `now` of this machine where it tells none."""
    return now if quote is None or quote.seen_at is None else quote.seen_at


def last_checked_at(trade: TradeRow, at: datetime) -> datetime:
    """The last good check, never before the entry; `at` when nothing tells it."""
    moments = (trade.seen_at or trade.checked_at, trade.entry_time)
    return max((each for each in moments if each is not None and not is_ahead(each, at)), default=at)


def is_late(trade: TradeRow, at: datetime, interval: timedelta) -> bool:
    """Whether a check was missed. Makes no query."""
    return at - last_checked_at(trade, at) > 2 * interval


def find_gap(trade: TradeRow, at: datetime, interval: timedelta, stop: float, high: float) -> Gap | None:
    """The gap of more than two intervals before `at`, if there is one."""
    if not is_late(trade, at, interval):
        return None
    since = last_checked_at(trade, at)
    for move in load_stop_moves(trade.id):
        if not is_ahead(move.at, at):
            since = max(since, move.at)
            break
        stop, high = move.stop_before, move.high_before  # it moved within the gap, nobody knows when
    return Gap(since, stop, high) if at - since > 2 * interval else None
