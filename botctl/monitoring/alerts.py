"""When a trouble is said: at once, again at growing intervals while it lasts, and once more when it is over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from botctl.domain.checks import KEY_EXPIRES_SOON

REPEAT_INTERVALS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
"""From one saying to the next. The last one holds for as long as it takes."""
TICK_SLACK = timedelta(minutes=1)
"""A tick may come a little early: what would be due by its end is said now, and not a whole interval later."""
REOPEN_WINDOW = timedelta(hours=1)
"""A trouble that is back within so long is the same one, which has told its beginning already."""


class Level(IntEnum):
    """How much a message matters."""

    INFO = 0
    RESOLVED = 1
    ALERT = 2


@dataclass(frozen=True)
class Problem:
    """Something that is wrong now. `key` says which trouble it is, from run to run."""

    key: str
    text: str
    size: int = 0
    """How much of it there is: a trouble that grows is said at once."""
    urgent: bool = True
    """Whether it is said again within the day."""


@dataclass(frozen=True)
class ActiveAlert:
    """A trouble that has been said."""

    key: str
    text: str
    since: datetime
    said_at: datetime
    times: int
    size: int
    told: bool
    """Whether the last word on it was that it is there."""
    over_at: datetime | None = None
    """Since when it is gone; None while it lasts."""


@dataclass(frozen=True)
class Message:
    """One line for somebody who is not there."""

    level: Level
    text: str


def judge_alerts(
    known: Iterable[ActiveAlert], conditions: Iterable[Problem], now: datetime
) -> tuple[list[ActiveAlert], list[Message]]:
    """What is to be remembered from here on, and what is to be said now."""
    before = {active_alert.key: active_alert for active_alert in known}
    there = {condition.key: condition for condition in conditions}
    judged = [_judge_present(before.get(key), condition, now) for key, condition in there.items()]
    judged += [_judge_absent(active_alert, now) for key, active_alert in before.items() if key not in there]
    kept = [active_alert for active_alert, _ in judged if active_alert is not None]
    said = [message for _, message in judged if message is not None]
    return kept, said


def _judge_present(
    active_alert: ActiveAlert | None, condition: Problem, now: datetime
) -> tuple[ActiveAlert | None, Message | None]:
    """A trouble that is there: said when it begins, when it grows, and when its next saying is due."""
    if active_alert is None or (
        active_alert.over_at is not None and not _within(REOPEN_WINDOW, active_alert.over_at, now)
    ):
        begun = ActiveAlert(condition.key, condition.text, now, now, 1, condition.size, told=True)
        return begun, Message(Level.ALERT, condition.text)
    if active_alert.over_at is not None:  # it was said to be over: the next word on it comes within the hour
        active_alert = replace(active_alert, over_at=None, since=now, times=min(active_alert.times, 2), told=False)
    due = not _within(_pause(active_alert.times, condition.urgent) - TICK_SLACK, active_alert.said_at, now)
    if not due and condition.size <= active_alert.size:
        return replace(active_alert, text=condition.text), None
    still = f"for {lasted(now - active_alert.since)}: " if active_alert.told and now > active_alert.since else ""
    size = max(condition.size, active_alert.size)
    said = replace(active_alert, text=condition.text, said_at=now, times=active_alert.times + 1, size=size, told=True)
    return said, Message(Level.ALERT, f"{still}{condition.text}")


def _judge_absent(active_alert: ActiveAlert, now: datetime) -> tuple[ActiveAlert | None, Message | None]:
    """A trouble that is gone: said once, if its beginning was; remembered for as long as it would be the same one."""
    if active_alert.over_at is not None:
        return (active_alert if _within(REOPEN_WINDOW, active_alert.over_at, now) else None), None
    over = replace(active_alert, over_at=now)
    if not active_alert.told:
        return over, None
    return over, Message(Level.RESOLVED, f"over after {lasted(now - active_alert.since)}: {active_alert.text}")


def _pause(times: int, urgent: bool) -> timedelta:
    return REPEAT_INTERVALS[min(times, len(REPEAT_INTERVALS)) - 1] if urgent else REPEAT_INTERVALS[-1]


def _within(span: timedelta, then: datetime, now: datetime) -> bool:
    """Whether `then` is no longer ago. A moment in the future was set by a wrong clock, and is long ago."""
    return timedelta(0) <= now - then < span


def lasted(span: timedelta) -> str:
    """A length of time in its largest unit."""
    minutes = max(0, round(span.total_seconds() / 60))
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


# What is wrong


MIN_GRACE = timedelta(minutes=5)
"""With short candles a single tick may take longer than the time between two of them."""


@dataclass(frozen=True)
class Guarded:
    """An open trade, as far as its guard goes."""

    trade_id: int
    symbol: str
    checked_at: datetime | None
    """The last good check of its stop."""
    has_stop: bool


def find_unguarded(trades: Iterable[Guarded], now: datetime, seconds: int, *, frozen: bool) -> dict[Guarded, str]:
    """The open trades that nobody guards, each with the reason. `seconds` is the time between two checks.

    One check that failed is an error and no alarm: the next one replays what it missed. After two it is.
    """
    grace = max(timedelta(seconds=1.5 * seconds), MIN_GRACE)
    reasons: dict[Guarded, str] = {}
    for trade in trades:
        if frozen:
            reasons[trade] = "frozen"
        elif not trade.has_stop:
            reasons[trade] = "no stop"
        elif trade.checked_at is None or now - trade.checked_at > grace:
            last = "never" if trade.checked_at is None else f"last at {trade.checked_at:%Y-%m-%d %H:%M} UTC"
            reasons[trade] = f"no good check, {last}"
    return reasons


def unguarded_problem(reasons: Mapping[Guarded, str]) -> list[Problem]:
    """One alarm for all of them: it is said again when there are more."""
    if not reasons:
        return []
    named = "; ".join(f"{trade.symbol} (trade {trade.trade_id}, {why})" for trade, why in list(reasons.items())[:10])
    more = f"; and {len(reasons) - 10} more" if len(reasons) > 10 else ""
    return [Problem("unguarded", f"{len(reasons)} open positions are unguarded: {named}{more}", size=len(reasons))]


FAILURES = 3
"""Failing ticks in a row that are an alarm. A single one is often the exchange's, and mended by the next."""


def failing_problem(newest: Iterable[tuple[bool, str]]) -> list[Problem]:
    """From whether each of the newest ticks was well, newest first, with what it said: an alarm from the third on."""
    ticks = list(newest)[:FAILURES]
    if len(ticks) < FAILURES or any(ok for ok, _ in ticks):
        return []
    return [Problem("failing", f"the tick has failed {FAILURES} times in a row or more: {ticks[0][1]}")]


def key_problem(expires_at: datetime | None, now: datetime) -> list[Problem]:
    """A key that ends soon. Without one nothing can be sold, so there are two weeks of daily warnings."""
    if expires_at is None or expires_at - now > KEY_EXPIRES_SOON:
        return []
    when = f"{expires_at:%Y-%m-%d %H:%M} UTC"
    text = f"the API key expires at {when}" if expires_at > now else f"the API key has expired at {when}"
    return [Problem("key", f"{text}: renew it at Kraken", urgent=expires_at <= now)]
