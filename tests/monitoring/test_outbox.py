"""The outbox: a message is kept until its channel has taken it, sent by one run at a time, and never without end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from botctl.domain.configuration.settings import Secret
from botctl.monitoring import outbox
from botctl.monitoring.alerts import ActiveAlert, Level, Message
from botctl.store.models import Outgoing, database

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
LATER = NOW + outbox.CLAIM_TIME + timedelta(seconds=1)


def enqueue(*texts: str, channels: tuple[str, ...] = ("a",), at: datetime = NOW) -> None:
    with database.atomic("IMMEDIATE"):
        outbox.enqueue(channels, [Message(Level.INFO, text) for text in texts], at)


def claimed(at: datetime = NOW, channels: tuple[str, ...] = ("a", "b")) -> dict[str, list[str]]:
    return {channel: [row.text for row in rows] for channel, rows in outbox.claim(channels, at).items()}


def test_what_one_run_sends_no_other_run_sends(store: Path) -> None:
    enqueue("one", "two", channels=("a", "b"))

    assert claimed() == {"a": ["one", "two"], "b": ["one", "two"]}
    assert claimed() == {}


def test_what_a_dead_run_had_claimed_is_sent_later(store: Path) -> None:
    enqueue("one")
    claimed()

    assert claimed(LATER) == {"a": ["one"]}


def test_a_claim_of_a_wrong_clock_holds_nothing_back(store: Path) -> None:
    enqueue("one")
    claimed(NOW + timedelta(days=5))

    assert claimed(NOW) == {"a": ["one"]}


def test_what_has_arrived_is_gone_and_what_has_not_is_kept(store: Path) -> None:
    enqueue("one", channels=("a", "b"))
    rows = outbox.claim(["a", "b"], NOW)

    outbox.acknowledge(rows["a"])
    outbox.release(rows["b"])

    assert claimed() == {"b": ["one"]}


def test_of_too_many_messages_the_newest_are_kept(store: Path) -> None:
    for number in range(30):
        enqueue(*[f"{number}.{part}" for part in range(10)], channels=("a", "b"))

    kept = claimed()["a"]
    assert len(kept) == outbox.MAX_MESSAGES
    assert kept[-1] == "29.9"
    assert Outgoing.select().count() == 2 * outbox.MAX_MESSAGES


def test_what_is_too_old_or_has_no_channel_any_more_is_dropped(store: Path) -> None:
    enqueue("old", at=NOW - outbox.MAX_AGE - timedelta(hours=1))
    enqueue("to nobody", channels=("gone",))
    enqueue("new")

    assert claimed() == {"a": ["new"]}
    assert Outgoing.select().count() == 1


def test_an_address_stands_in_the_database_as_a_digest(store: Path) -> None:
    url = "ntfys://a-secret-topic"

    channel = outbox.channel_of(Secret(url))

    assert "secret" not in channel
    assert channel == outbox.channel_of(Secret(url)) != outbox.channel_of(Secret(url + "2"))


def test_alarms_are_kept_as_they_are_said(store: Path) -> None:
    one = ActiveAlert("one", "a text", NOW, NOW, 3, 2, announced=True)
    two = ActiveAlert("two", "another", NOW, LATER, 1, 0, announced=False, resolved_at=LATER)

    outbox.save_active_alerts([one, two])
    assert outbox.load_active_alerts() == [one, two]
    outbox.save_active_alerts([two])
    assert outbox.load_active_alerts() == [two]
    outbox.save_active_alerts([])
    assert outbox.load_active_alerts() == []
