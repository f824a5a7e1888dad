"""The stop that a lost trade must have had: from the candles at its entry, and the closes since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.candles import Candle, from_unix
from botctl.domain.indicators import SEED_FADES_AFTER
from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.settings import Settings
from botctl.market_data.indicators import calculate_atr


@dataclass(frozen=True)
class ReconstructedStop:
    """Where the stop rule stands. Prices in quote per asset."""

    stop: float
    high: float
    checked_at: datetime
    """Up to where closes were looked at."""
    hit: ExitReason | None
    """Set when a close hit the stop: it must be sold, as after any missed run."""
    notes: tuple[str, ...]


def atr_at(candles: Sequence[Candle], moment: datetime, settings: Settings) -> tuple[float, str]:
    """The ATR of the candles that had closed at `moment`, and what to say of it if they no longer reach back so far.

    Raises Refused when there are too few of them at all.
    """
    needed = settings.atr_period + SEED_FADES_AFTER
    closed = [candle for candle in candles if candle.closed_at(settings.timeframe.seconds) <= moment]
    if len(closed) >= needed:
        return calculate_atr(closed, settings.atr_period), ""
    note = f"candles don't reach back to {needed} before the entry: its ATR is that of the oldest {needed} there are"
    return calculate_atr(candles[:needed], settings.atr_period), note


def reconstruct_stop(
    candles: Sequence[Candle], entry_price: Decimal, opened_at: datetime, atr: float, settings: Settings
) -> ReconstructedStop:
    """The stop rule over every close since the entry, as ticks would have applied it."""
    seconds = settings.timeframe.seconds
    entry, rule = float(entry_price), settings.stop_rule
    stop, high, checked_at = rule.initial_stop(entry, atr), entry, opened_at
    notes: list[str] = []
    if candles and (reach := from_unix(candles[0].time)) > opened_at:
        notes.append(f"candles reach back to {reach:%Y-%m-%d %H:%M} UTC only: what was before moved no stop")
    since = [candle for candle in candles if candle.closed_at(seconds) > opened_at]
    reason = None
    steps = rule.advance_over((candle.close for candle in since), stop, high, entry, atr)
    for step, candle in zip(steps, since, strict=False):  # the steps end at the close that hits the stop
        stop, high, checked_at = step.stop, step.high, candle.closed_at(seconds)
        if step.hit:
            notes.append(f"the close of {checked_at:%Y-%m-%d %H:%M} UTC hit its stop: the next check sells it")
            reason = stop_reason(stop, entry)
    return ReconstructedStop(stop, high, checked_at, reason, tuple(notes))
