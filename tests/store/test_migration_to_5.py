"""Schema 5: what older schemas said in sentences only stands in columns, and what no sentence says is left empty."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from botctl.store.location import DatabaseLocation
from botctl.store.models import DatabaseInfo, Decision, Event, Order, Trade, database
from botctl.store.schema.migration_to_5 import parse_error_class, parse_price, parse_trade_id
from botctl.store.schema.migrations import SCHEMA_VERSION, migrate_database
from tests.databases import DOWNGRADES

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def age(version: int) -> None:
    """Make the open database one of an older schema."""
    for newer in range(SCHEMA_VERSION, version, -1):
        for statement in DOWNGRADES[newer]:
            database.execute_sql(statement)
    DatabaseInfo.update(schema_version=version).execute()


def write_texts() -> None:
    """A trade's life as sentences tell it."""
    trade = Trade.create(symbol="BTC/USD", asset="BTC", mode="demo", created_at=NOON, amount=Decimal(1))
    for outcome in ("bought: trade 1", "sold trade 1", "refused: BTC already has trade 1", ""):
        Decision.create(
            symbol="BTC/USD", decided_at=NOON, decision="BUY", reason="", verdicts=[], outcome=outcome, price=Decimal(9)
        )
    for kind, why in (
        ("stop moved", "price 51500 and 3 missed closes"),
        ("new high", "price 1.5e-05"),
        ("stop hit", "a person's own words"),
        ("paused", "price 7"),
    ):
        Event.create(at=NOON, kind=kind, trade_id=1, before={}, after={}, why=why)
    for number, error in enumerate(
        (
            "Kraken refused the order: EOrder:Cost minimum not met: raise the amount above the market's order minimum",
            "something else",
            None,
        )
    ):
        Order.create(
            client_order_id=str(number),
            trade=trade,
            side="sell",
            symbol="BTC/USD",
            state="REJECTED",
            amount=Decimal(1),
            deadline=NOON,
            created_at=NOON,
            error=error,
        )


@pytest.mark.parametrize("version", range(1, 5))
def test_the_sentences_of_every_older_schema_fill_the_columns(opened: DatabaseLocation, version: int) -> None:
    write_texts()
    age(version)

    migrate_database(opened)

    assert DatabaseInfo.get().schema_version == SCHEMA_VERSION
    assert [row.trade_id for row in Decision.select().order_by(Decision.id)] == [1, 1, None, None]
    assert [row.price for row in Event.select().order_by(Event.id)] == [
        Decimal(51500), Decimal("0.000015"), None, None
    ]  # fmt: skip
    assert [row.error_class for row in Order.select().order_by(Order.id)] == ["BelowMinimum", None, None]
    assert "decision_trade_id" in {index.name for index in database.get_indexes("decision")}


@pytest.mark.parametrize(
    ("outcome", "trade_id"),
    [
        ("bought: trade 12", 12),
        ("sold trade 7", 7),
        ("bought: trade 12 and more", None),
        ("sold trade 99999999999", None),
        ("sold trade ٣", None),
        ("failed: sold trade 7", None),
    ],
)
def test_only_a_whole_outcome_names_a_trade(outcome: str, trade_id: int | None) -> None:
    assert parse_trade_id(outcome) == trade_id


@pytest.mark.parametrize(
    ("why", "price"),
    [
        ("price 50123.4", "50123.4"),
        ("price 0.5 and 12 missed closes", "0.5"),
        ("price 1.23457e+06", "1234570"),
        ("price nan", None),
        ("price 5, too high", None),
    ],
)
def test_only_a_whole_reason_tells_a_price(why: str, price: str | None) -> None:
    assert parse_price(why) == price


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        ("Kraken refused the order: EOrder:Order minimum not met: raise the amount", "BelowMinimum"),
        ("Kraken refused the order: EGeneral:Invalid arguments:volume minimum not met: raise it", "BelowMinimum"),
        ("the paper broker refused the order: 1 ADA is below the order minimum of 4 ADA", "BelowMinimum"),
        ("Kraken refused the order: EOrder:Insufficient funds: see `botctl balance`", "ExchangeRefused"),
        ("insufficient funds at the paper broker: 1 USD needed, 0 there", "ExchangeRefused"),
        ("Kraken refused the order: EService:Deadline elapsed", "DeadlineElapsed"),
        ("Kraken refused the order: EAPI:Invalid nonce: use this API key in one program", "ExchangeBusy"),
        ("Kraken refused the order: EOrder:Domain rate limit exceeded", "ExchangeBusy"),
        ("BTC/USD has nobody on the other side: the paper broker can't fill it", "ExchangeBusy"),
        ("Kraken's answer leaves the order open: EService:Busy", "OutcomeUnknown"),
        ("Kraken refused the order and named it at once: WGeneral:Odd", "OutcomeUnknown"),
        ("Kraken did not answer in time; the order may exist", "OutcomeUnknown"),
        ("the run ended while it was being sent", "OutcomeUnknown"),
        ("the run ended before it was sent", None),
        ("no such order on the exchange long after its deadline", None),
    ],
)
def test_the_wording_of_an_old_error_tells_its_class(error: str, error_class: str | None) -> None:
    assert parse_error_class(error) == error_class
