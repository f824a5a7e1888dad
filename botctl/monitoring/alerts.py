"""When a problem is reported: at once, again at growing intervals while it lasts, and once when it is resolved."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from botctl.domain.freshness import format_duration, is_fresh

REPEAT_INTERVALS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
"""Between two messages about one problem. The last interval repeats."""
TICK_SLACK = timedelta(minutes=1)
"""A tick may come a little early: without slack a message that is almost due would wait for another whole interval."""
REOPEN_WINDOW = timedelta(hours=1)
"""A problem that returns within this time continues the same alert and sends no new first message."""


class Level(IntEnum):
    """How much a message matters."""

    INFO = 0
    RESOLVED = 1
    ALERT = 2


@dataclass(frozen=True)
class Problem:
    """Something that is wrong now. `key` identifies it from run to run."""

    key: str
    text: str
    size: int = 0
    """A problem that grows is reported at once."""
    urgent: bool = True
    """Whether it is repeated within the day."""


@dataclass(frozen=True)
class ActiveAlert:
    """A problem that has been reported, and how often."""

    key: str
    text: str
    since: datetime
    sent_at: datetime
    sent_count: int
    size: int
    announced: bool
    """Whether the last message about it reported the problem, not its end."""
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Message:
    """One line of a notification."""

    level: Level
    text: str


def update_alerts(
    alerts: Iterable[ActiveAlert], problems: Iterable[Problem], now: datetime
) -> tuple[list[ActiveAlert], list[Message]]:
    """The alerts to keep from now on, and the messages to send now."""
    before = {alert.key: alert for alert in alerts}
    current = {problem.key: problem for problem in problems}
    updates = [
        *[_update_present(before.get(key), problem, now) for key, problem in current.items()],
        *[_update_absent(alert, now) for key, alert in before.items() if key not in current],
    ]
    return [alert for alert, _ in updates if alert], [message for _, message in updates if message]


def _update_present(alert: ActiveAlert | None, problem: Problem, now: datetime) -> tuple[ActiveAlert, Message | None]:
    """Report the problem when it begins, when it grows, and when its next message is due."""
    if alert is None or (alert.resolved_at is not None and not _within(REOPEN_WINDOW, alert.resolved_at, now)):
        new = ActiveAlert(problem.key, problem.text, now, now, 1, problem.size, announced=True)
        return new, Message(Level.ALERT, problem.text)
    if alert.resolved_at is not None:  # reopened: the next message comes within the hour
        alert = replace(alert, resolved_at=None, since=now, sent_count=min(alert.sent_count, 2), announced=False)
    due = not _within(_repeat_interval(alert.sent_count, problem.urgent) - TICK_SLACK, alert.sent_at, now)
    if not due and problem.size <= alert.size:
        return replace(alert, text=problem.text), None
    prefix = f"for {format_duration(now - alert.since)}: " if alert.announced and now > alert.since else ""
    size = max(problem.size, alert.size)
    sent = replace(alert, text=problem.text, sent_at=now, sent_count=alert.sent_count + 1, size=size, announced=True)
    return sent, Message(Level.ALERT, f"{prefix}{problem.text}")


def _update_absent(alert: ActiveAlert, now: datetime) -> tuple[ActiveAlert | None, Message | None]:
    """Report the end once, if the problem was announced; forget the alert after REOPEN_WINDOW."""
    if alert.resolved_at is not None:
        return (alert if _within(REOPEN_WINDOW, alert.resolved_at, now) else None), None
    resolved = replace(alert, resolved_at=now)
    if not alert.announced:
        return resolved, None
    return resolved, Message(Level.RESOLVED, f"resolved after {format_duration(now - alert.since)}: {alert.text}")


def _repeat_interval(sent_count: int, urgent: bool) -> timedelta:
    return REPEAT_INTERVALS[min(sent_count, len(REPEAT_INTERVALS)) - 1] if urgent else REPEAT_INTERVALS[-1]


def _within(span: timedelta, then: datetime, now: datetime) -> bool:
    return is_fresh(then, now, span)
