"""The outbox: a message is kept until its channel has taken it, sent by one run at a time, and never without end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from botctl.domain.settings import Secret
from botctl.monitoring import outbox
from botctl.monitoring.alerts import Level, Message, Standing
from botctl.store.models import Outgoing, database

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
LATER = NOW + outbox.CLAIMED_FOR + timedelta(seconds=1)


def put(*texts: str, channels: tuple[str, ...] = ("a",), at: datetime = NOW) -> None:
    with database.atomic("IMMEDIATE"):
        outbox.put(channels, [Message(Level.NEWS, text) for text in texts], at)


def claimed(at: datetime = NOW, channels: tuple[str, ...] = ("a", "b")) -> dict[str, list[str]]:
    return {channel: [row.text for row in rows] for channel, rows in outbox.claim(channels, at).items()}


def test_what_one_run_sends_no_other_run_sends(store: Path) -> None:
    put("one", "two", channels=("a", "b"))

    assert claimed() == {"a": ["one", "two"], "b": ["one", "two"]}
    assert claimed() == {}


def test_what_a_dead_run_had_claimed_is_sent_later(store: Path) -> None:
    put("one")
    claimed()

    assert claimed(LATER) == {"a": ["one"]}


def test_a_claim_of_a_wrong_clock_holds_nothing_back(store: Path) -> None:
    put("one")
    claimed(NOW + timedelta(days=5))

    assert claimed(NOW) == {"a": ["one"]}


def test_what_has_arrived_is_gone_and_what_has_not_is_kept(store: Path) -> None:
    put("one", channels=("a", "b"))
    rows = outbox.claim(["a", "b"], NOW)

    outbox.take_out(rows["a"])
    outbox.give_back(rows["b"])

    assert claimed() == {"b": ["one"]}


def test_of_too_many_messages_the_newest_are_kept(store: Path) -> None:
    for number in range(30):
        put(*[f"{number}.{part}" for part in range(10)], channels=("a", "b"))

    kept = claimed()["a"]
    assert len(kept) == outbox.MOST_KEPT
    assert kept[-1] == "29.9"
    assert Outgoing.select().count() == 2 * outbox.MOST_KEPT


def test_what_is_too_old_or_has_no_channel_any_more_is_dropped(store: Path) -> None:
    put("old", at=NOW - outbox.KEPT_FOR - timedelta(hours=1))
    put("to nobody", channels=("gone",))
    put("new")

    assert claimed() == {"a": ["new"]}
    assert Outgoing.select().count() == 1


def test_an_address_stands_in_the_database_as_a_digest(store: Path) -> None:
    url = "ntfys://a-secret-topic"

    channel = outbox.channel_of(Secret(url))

    assert "secret" not in channel
    assert channel == outbox.channel_of(Secret(url)) != outbox.channel_of(Secret(url + "2"))


def test_alarms_are_kept_as_they_are_said(store: Path) -> None:
    one = Standing("one", "a text", NOW, NOW, 3, 2, told=True)
    two = Standing("two", "another", NOW, LATER, 1, 0, told=False, over_at=LATER)

    outbox.save_standings([one, two])
    assert outbox.load_standings() == [one, two]
    outbox.save_standings([two])
    assert outbox.load_standings() == [two]
    outbox.save_standings([])
    assert outbox.load_standings() == []
