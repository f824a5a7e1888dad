"""Schema 7: a trade's times have new names, and its initial stop is filled in where it is certain."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from botctl.store.location import DatabaseLocation
from botctl.store.models import Event, Trade, database
from botctl.store.schema.migrations import migrate_database
from tests.store.test_migration_to_5 import age

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def write_trade(asset: str, stop: float | None, opened_with: float | None = None) -> int:
    """A closed trade, entered at 100."""
    trade = Trade.create(
        symbol=f"{asset}/USD", asset=asset, mode="demo", created_at=NOON, amount=Decimal(1), status="CLOSED",
        entry_price=Decimal(100), atr=5.0, stop_loss_price=stop, entry_time=NOON, exit_time=NOON,
    )  # fmt: skip
    if opened_with is not None:
        columns = {"stop_loss_price": opened_with, "opened_at": NOON}
        Event.create(at=NOON, kind="opened", trade_id=trade.id, before={"opened_at": None}, after=columns, why="")
    return int(trade.id)


@pytest.mark.parametrize("version", range(1, 7))
def test_the_initial_stop_is_filled_in_where_it_is_certain(opened: DatabaseLocation, version: int) -> None:
    known = {
        write_trade("BTC", 140.0, opened_with=90.5): 90.5,  # the event of its entry
        write_trade("ETH", 91.25): 91.25,  # a stop below the entry has never moved
        write_trade("ADA", 104.0): None,  # it has moved, and the event is pruned
        write_trade("SOL", None): None,  # it was never filled
    }
    age(version)

    migrate_database(opened)

    assert {row.id: row.initial_stop_loss_price for row in Trade.select()} == known


def test_the_times_keep_their_values_and_events_get_the_new_names(opened: DatabaseLocation) -> None:
    write_trade("BTC", 90.5, opened_with=90.5)
    Event.create(at=NOON, kind="paused", before={}, after={"opened_at": "a word of no trade"}, why='"opened_at": ')
    age(6)

    migrate_database(opened)

    assert [(row.entry_time, row.exit_time) for row in Trade.select()] == [(NOON, NOON)]
    opening, pause = Event.select().order_by(Event.id)
    assert (opening.before, opening.after.keys()) == ({"entry_time": None}, {"stop_loss_price", "entry_time"})
    assert (pause.after.keys(), pause.why) == ({"opened_at"}, '"opened_at": ')
    assert "trade_asset_closed" in {index.name for index in database.get_indexes("trade")}


@pytest.mark.parametrize(
    "after", ["no document", "[1]", '{"stop_loss_price": "many"}', f'{{"stop_loss_price": 1{"0" * 400}}}']
)
def test_a_broken_event_stops_no_migration(opened: DatabaseLocation, after: str) -> None:
    trade_id = write_trade("BTC", 104.0, opened_with=90.5)
    database.execute_sql(f"UPDATE event SET after = '{after}' WHERE trade_id = {trade_id}")
    age(6)

    migrate_database(opened)

    assert Trade.get().initial_stop_loss_price is None


def test_an_index_that_is_gone_stops_no_migration(opened: DatabaseLocation) -> None:
    write_trade("BTC", 90.5)
    age(6)
    database.execute_sql("DROP INDEX trade_asset_closed")

    migrate_database(opened)

    assert "trade_asset_closed" in {index.name for index in database.get_indexes("trade")}
