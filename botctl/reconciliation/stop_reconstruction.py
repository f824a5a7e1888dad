"""Reconstructs the stop of a lost trade from the candles at its entry and the closes since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.candles import Candle, from_unix
from botctl.domain.configuration.settings import Settings
from botctl.domain.indicators import candles_needed
from botctl.domain.orders import ExitReason, stop_reason
from botctl.market_data.indicators import calculate_atr

MIN_DISTANCE = 0.05
"""The least distance of a stop below the last price, as a fraction, where there is no ATR."""


@dataclass(frozen=True)
class ReconstructedStop:
    """The state of the stop rule. Prices in quote per asset."""

    first: float
    """The stop at the entry, from which R multiples are measured."""
    stop: float
    high: float
    checked_at: datetime
    """The last close that was checked."""
    hit: ExitReason | None
    """Set when a close hit the stop: the trade must be sold, as after a missed run."""
    notes: tuple[str, ...]


def atr_at(candles: Sequence[Candle], moment: datetime, settings: Settings) -> tuple[float, str]:
    """The ATR at `moment` of signal candles, and a note if they don't reach back that far. Raises Refused for too few
    candles."""
    needed = candles_needed(settings.atr_period)
    closed = [candle for candle in candles if candle.closed_at(settings.signal_timeframe.seconds) <= moment]
    if len(closed) >= needed:
        return calculate_atr(closed, settings.atr_period), ""
    note = f"candles don't reach back to {needed} before the entry: its ATR is that of the oldest {needed} candles"
    return calculate_atr(candles[:needed], settings.atr_period), note


def stop_without_atr(
    candles: Sequence[Candle], entry_price: Decimal, entry_time: datetime, last: Decimal | None, settings: Settings
) -> tuple[float, ReconstructedStop]:
    """The stop of a trade whose candles carry no ATR: below their range, and MIN_DISTANCE below the last price.

    Returns with it the ATR for which the stop rule has the same distance. `last` is None without a price.
    """
    seconds, entry = settings.timeframe.seconds, float(entry_price)
    price = candles[-1].close if last is None and candles else float(last or entry_price)
    reference = price if candles else min(price, entry)
    stop = min([reference * (1 - MIN_DISTANCE), *(candle.low for candle in candles)])
    closed = [candle.closed_at(seconds) for candle in candles]
    note = (
        f"the candles carry no ATR: its stop is below their range and {MIN_DISTANCE:.0%} below {reference:.8g}"
        if candles
        else f"there are no candles: its stop is {MIN_DISTANCE:.0%} below {reference:.8g}"
    )
    atr = (reference - stop) / settings.stop_rule.atr_multiple
    checked_at = max([entry_time, *closed])
    return atr, ReconstructedStop(stop, stop, max(entry, reference), checked_at, None, (note,))


def reconstruct_stop(
    candles: Sequence[Candle], entry_price: Decimal, entry_time: datetime, atr: float, settings: Settings
) -> ReconstructedStop:
    """The stop rule over every close since the entry, as ticks would have applied it."""
    seconds = settings.timeframe.seconds
    entry, rule, rate = float(entry_price), settings.stop_rule, float(settings.fee_rate)
    break_even = rule.break_even(entry * (1.0 + rate), rate)  # the account's own rate is lost with the database
    first = rule.initial_stop(entry, atr)
    stop, high, checked_at = first, entry, entry_time
    notes: list[str] = []
    if candles and (reach := from_unix(candles[0].time)) > entry_time:
        notes.append(f"candles reach back to {reach:%Y-%m-%d %H:%M} UTC only: earlier prices did not move the stop")
    since = [candle for candle in candles if candle.closed_at(seconds) > entry_time]
    reason = None
    steps = rule.advance_over((candle.close for candle in since), stop, high, entry, atr, break_even)
    for step, candle in zip(steps, since, strict=False):  # the steps end at the close that hits the stop
        stop, high, checked_at = step.stop, step.high, candle.closed_at(seconds)
        if step.hit:
            notes.append(f"the close of {checked_at:%Y-%m-%d %H:%M} UTC hit its stop: the next check sells")
            reason = stop_reason(stop, entry, break_even)
    return ReconstructedStop(first, stop, high, checked_at, reason, tuple(notes))
