"""Messages that wait for their channel, and the alerts that are active, in the database."""

import hashlib
import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from botctl.domain.configuration.settings import Secret
from botctl.monitoring.alerts import ActiveAlert, Message
from botctl.store.broken_rows import load_rows
from botctl.store.models import Alarm, Outgoing, database

log = logging.getLogger(__name__)

MAX_MESSAGES = 100
"""For one channel. A channel that is down for days must not fill the disk."""
MAX_AGE = timedelta(days=7)
CLAIM_TIME = timedelta(minutes=2)
"""How long a run has a message to itself. Longer than sending may take, so that no two runs send it."""


def channel_of(url: Secret) -> str:
    """The digest of an address: the database must not hold the address itself."""
    return hashlib.sha256(b"botctl channel " + url.reveal().encode("utf-8", "surrogateescape")).hexdigest()[:16]


def load_active_alerts() -> list[ActiveAlert]:
    return [
        ActiveAlert(row.key, row.text, row.since, row.said_at, row.times, row.size, row.told, row.over_at)
        for row in load_rows(Alarm.select().order_by(Alarm.id))
    ]


def save_active_alerts(alerts: Sequence[ActiveAlert]) -> None:
    """Keep exactly these alerts. The caller holds the transaction."""
    Alarm.delete().execute()
    for alert in alerts:
        Alarm.create(
            key=alert.key,
            text=alert.text,
            since=alert.since,
            said_at=alert.sent_at,
            times=alert.sent_count,
            size=alert.size,
            told=alert.announced,
            over_at=alert.resolved_at,
        )


def enqueue(channels: Collection[str], messages: Sequence[Message], now: datetime) -> None:
    """Queue each message for each channel, and drop the oldest. The caller holds the transaction."""
    for channel in channels:
        for message in messages:
            Outgoing.create(channel=channel, level=message.level, text=message.text, written_at=now)
        newest = Outgoing.select(Outgoing.id).where(Outgoing.channel == channel).order_by(Outgoing.id.desc())
        kept_ids = [row.id for row in newest.limit(MAX_MESSAGES)]
        Outgoing.delete().where((Outgoing.channel == channel) & Outgoing.id.not_in(kept_ids)).execute()


def claim(channels: Collection[str], now: datetime) -> dict[str, list[Outgoing]]:
    """Reserve the messages for this run, oldest first by channel. Drops those that are too old or have no channel."""
    if Outgoing.select(Outgoing.id).first() is None:  # as on nearly every run: nothing to write
        return {}
    # A claim that ends later than one made now comes from a wrong clock.
    claimed_until = Outgoing.claimed_until
    free = claimed_until.is_null() | (claimed_until < now) | (claimed_until > now + CLAIM_TIME)
    claimed: dict[str, list[Outgoing]] = {}
    with database.atomic("IMMEDIATE"):
        stale = Outgoing.channel.not_in(list(channels)) | (Outgoing.written_at < now - MAX_AGE)
        if dropped := Outgoing.delete().where(stale).execute():
            log.warning("%d messages were dropped: too old, or their address is no longer in NOTIFY_URLS", dropped)
        for row in load_rows(Outgoing.select().where(free).order_by(Outgoing.id)):
            claimed.setdefault(row.channel, []).append(row)
        Outgoing.update(claimed_until=now + CLAIM_TIME).where(free).execute()
    return claimed


def acknowledge(rows: Sequence[Outgoing]) -> None:
    """Remove messages that were delivered."""
    Outgoing.delete().where(Outgoing.id.in_([row.id for row in rows])).execute()


def release(rows: Sequence[Outgoing]) -> None:
    """Leave messages that were not delivered to the next run."""
    Outgoing.update(claimed_until=None).where(Outgoing.id.in_([row.id for row in rows])).execute()
