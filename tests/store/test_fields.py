"""Columns that keep exactly what they were given, and the small memory between runs."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botctl.store import key_value
from botctl.store.fields import DecimalField, JsonField, UtcField
from botctl.store.location import DatabaseLocation
from botctl.store.models import Event, KeyValue, PaperHolding, Trade
from tests.databases import rows_of

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15))
def test_a_decimal_comes_back_from_the_database_to_the_last_digit(opened: DatabaseLocation, number: Decimal) -> None:
    row = PaperHolding.create(currency=f"X{PaperHolding.select().count()}", total=number)

    found = PaperHolding.get_by_id(row.id).total

    assert found == number
    assert str(found) == str(number)


@given(number=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_of_any_size_survives_its_column(number: Decimal) -> None:
    field = DecimalField()

    assert str(field.python_value(field.db_value(number))) == str(number)


@pytest.mark.parametrize("text", ["12345678901.12345678", "0.1", "1E-8", "1E-18", "0", "10000.00"])
def test_a_decimal_is_stored_as_its_text(opened: DatabaseLocation, text: str) -> None:
    PaperHolding.create(currency="BTC", total=Decimal(text))

    assert [row[2] for row in rows_of(opened)["paperholding"]] == [text]


def test_an_unknown_decimal_is_none_and_never_zero(opened: DatabaseLocation) -> None:
    row = Trade.create(symbol="BTC/USD", asset="BTC", mode="demo", created_at=NOON, amount=Decimal(1))

    found = Trade.get_by_id(row.id)

    assert (found.entry_price, found.pnl, found.entry_time, found.atr) == (None, None, None, None)
    assert found.exit_fee == 0


@given(moment=moments)
def test_a_moment_comes_back_as_it_was(moment: datetime) -> None:
    field = UtcField()

    assert field.python_value(field.db_value(moment)) == moment


@given(one=moments, other=moments)
def test_the_order_of_stored_moments_is_the_order_in_time(one: datetime, other: datetime) -> None:
    field = UtcField()
    first, second = field.db_value(one), field.db_value(other)

    assert first is not None
    assert second is not None
    assert (first < second) == (one < other)
    assert len(first) == len(second)


def test_a_moment_of_another_zone_is_stored_in_utc() -> None:
    tokyo = datetime(2025, 3, 1, 21, tzinfo=timezone(timedelta(hours=9)))

    assert UtcField().db_value(tokyo) == "2025-03-01T12:00:00.000000+00:00"


@pytest.mark.parametrize("value", [{}, [], {"a": [1, None, "ü"]}, "text", 0, False])
def test_json_comes_back_as_it_was(value: object) -> None:
    field = JsonField()

    assert field.python_value(field.db_value(value)) == value


def test_an_event_keeps_decimals_as_text(opened: DatabaseLocation) -> None:
    Event.create(at=NOON, kind="k", before={}, after={"amount": Decimal("0.10")}, why="w")

    assert Event.get().after == {"amount": "0.10"}


def test_what_was_never_kept_is_none(opened: DatabaseLocation) -> None:
    assert key_value.load("nothing") is None


def test_what_was_kept_comes_back_with_its_moment(opened: DatabaseLocation) -> None:
    key_value.save("nonce", "1700000000000000", NOON)

    assert key_value.load("nonce") == ("1700000000000000", NOON)


def test_what_is_kept_again_takes_the_place_of_what_was(opened: DatabaseLocation) -> None:
    key_value.save("nonce", "1", NOON)
    key_value.save("nonce", "2", NOON + timedelta(hours=1))

    assert key_value.load("nonce") == ("2", NOON + timedelta(hours=1))
    assert KeyValue.select().count() == 1


def test_without_a_moment_it_is_kept_as_of_now(opened: DatabaseLocation) -> None:
    before = datetime.now(UTC)

    key_value.save("key", "value")

    kept = key_value.load("key")
    assert kept is not None
    assert before - timedelta(seconds=1) <= kept[1] <= datetime.now(UTC)
