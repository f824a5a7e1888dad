"""Old ticks, decisions and events go in small steps; trades, orders and what an open trade tells stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from botctl.domain.orders import TradeStatus
from botctl.store.models import Decision, Event, Tick, Trade
from botctl.store.upkeep.pruning import BATCH, SETTLED_CLOCK, prune

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=402)


@pytest.fixture
def old(store: Path) -> Path:
    """Each table with old rows and new ones, and ticks that agree with the time."""
    closed = trade(TradeStatus.CLOSED, exit_time=OLD)
    opened = trade(TradeStatus.OPEN)
    for at in (OLD, NOW - timedelta(days=399)):
        Decision.create(symbol="BTC/USD", decided_at=at, decision="HOLD", reason="", verdicts=[])
        for row in (closed, opened):
            Event.create(at=at, kind="opened", trade_id=row.id, before={}, after={}, why="")
    for minutes in range(SETTLED_CLOCK):
        tick(NOW - timedelta(minutes=15 * (SETTLED_CLOCK - minutes)))
    return store


def trade(status: TradeStatus, **columns: object) -> Trade:
    row: Trade = Trade.create(
        symbol="BTC/USD", asset="BTC", mode="demo", status=status, amount=0, created_at=OLD, **columns
    )
    return row


def tick(at: datetime) -> None:
    Tick.create(at=at, seconds=1.0, ok=True, exit_code=0, steps=[], equity=None, drawdown=None)


def test_what_is_old_goes_with_a_note_and_an_open_trade_keeps_its_story(old: Path) -> None:
    deleted = prune(NOW, 400)

    assert deleted == {"decision": 1, "event": 1}
    assert [event.after for event in Event.select().where(Event.kind == "pruned")] == [deleted]
    assert Event.select().where(Event.kind == "opened").count() == 3
    assert (Trade.select().count(), prune(NOW, 400)) == (2, {})


def test_a_run_deletes_a_small_part_only(old: Path) -> None:
    for _ in range(BATCH + 1):
        Event.create(at=OLD, kind="switch", before={}, after={}, why="")

    assert [prune(NOW, 400).get("event") for _ in range(3)] == [BATCH, 2, None]


def test_zero_days_keep_everything(old: Path) -> None:
    assert prune(NOW, 0) == {}


def test_a_clock_that_jumps_ahead_deletes_nothing(old: Path) -> None:
    assert prune(NOW, 400)
    tick(NOW + timedelta(days=4000))

    assert prune(NOW + timedelta(days=4000), 400) == {}
