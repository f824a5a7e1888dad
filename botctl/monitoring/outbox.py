"""Messages on their way out: kept until their channel has taken them, and said alarms from one run to the next."""

import hashlib
import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from botctl.domain.settings import Secret
from botctl.monitoring.alerts import ActiveAlert, Level, Message
from botctl.store.models import Alarm, Outgoing, database

log = logging.getLogger(__name__)

MOST_KEPT = 100
"""Messages for one channel. A channel that takes nothing for days must not fill the disk."""
KEPT_FOR = timedelta(days=7)
CLAIMED_FOR = timedelta(minutes=2)
"""How long a run has a message to itself. Longer than sending may take, so that no two runs send it."""


def channel_of(url: Secret) -> str:
    """What stands for an address in the database."""
    return hashlib.sha256(b"botctl channel " + url.reveal().encode("utf-8", "surrogateescape")).hexdigest()[:16]


def load_active_alerts() -> list[ActiveAlert]:
    """Every trouble that has been said and is not long over."""
    return [
        ActiveAlert(row.key, row.text, row.since, row.said_at, row.times, row.size, row.told, row.over_at)
        for row in Alarm.select().order_by(Alarm.id)
    ]


def save_active_alerts(active_alerts: Sequence[ActiveAlert]) -> None:
    """These, and no others. The caller holds the transaction."""
    Alarm.delete().where(Alarm.key.not_in([active_alert.key for active_alert in active_alerts])).execute()
    for active_alert in active_alerts:
        columns = {
            name: getattr(active_alert, name)
            for name in ("text", "since", "said_at", "times", "size", "told", "over_at")
        }
        if not Alarm.update(**columns).where(Alarm.key == active_alert.key).execute():
            Alarm.create(key=active_alert.key, **columns)


def enqueue(channels: Collection[str], messages: Sequence[Message], now: datetime) -> None:
    """Each message for each channel, in place of the oldest where there are too many. The caller holds the
    transaction."""
    for channel in channels:
        for message in messages:
            Outgoing.create(channel=channel, level=message.level, text=message.text, written_at=now)
        newest = Outgoing.select(Outgoing.id).where(Outgoing.channel == channel).order_by(Outgoing.id.desc())
        kept = [row.id for row in newest.limit(MOST_KEPT)]
        Outgoing.delete().where((Outgoing.channel == channel) & Outgoing.id.not_in(kept)).execute()


def claim(channels: Collection[str], now: datetime) -> dict[str, list[Outgoing]]:
    """What this run is to send, oldest first by channel, reserved for it. What nobody can be sent any more goes."""
    if Outgoing.select().first() is None:  # as on nearly every run: nothing to write
        return {}
    # A claim beyond any that is made now was made under a wrong clock.
    claimed_until = Outgoing.claimed_until
    free = claimed_until.is_null() | (claimed_until < now) | (claimed_until > now + CLAIMED_FOR)
    claimed: dict[str, list[Outgoing]] = {}
    with database.atomic("IMMEDIATE"):
        stale = Outgoing.channel.not_in(list(channels)) | (Outgoing.written_at < now - KEPT_FOR)
        if dropped := Outgoing.delete().where(stale).execute():
            log.warning("%d messages could not be sent for too long, or to no channel that is left: dropped", dropped)
        for row in Outgoing.select().where(free).order_by(Outgoing.id):
            claimed.setdefault(row.channel, []).append(row)
        Outgoing.update(claimed_until=now + CLAIMED_FOR).where(free).execute()
    return claimed


def acknowledge(rows: Sequence[Outgoing]) -> None:
    """They have arrived."""
    Outgoing.delete().where(Outgoing.id.in_([row.id for row in rows])).execute()


def release(rows: Sequence[Outgoing]) -> None:
    """They have not: the next run may try."""
    Outgoing.update(claimed_until=None).where(Outgoing.id.in_([row.id for row in rows])).execute()


def worst(rows: Sequence[Outgoing]) -> Level:
    """The level of the message that matters most."""
    return Level(max(row.level for row in rows))
