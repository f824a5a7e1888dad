"""An order's id says whose it is and of which trade, and Kraken takes it for a UUID."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.client_order_ids import (
    ATTEMPT_BITS,
    DATABASE_BITS,
    EXITS,
    RESTING,
    TAG_BITS,
    TRADES,
    ClientId,
    format_database_id,
    format_trade_tag,
    parse_client_id,
)
from botctl.domain.orders import ExitReason
from tests.fake_kraken.private_endpoints import CLIENT_ID

marks = st.integers(0, 2**TAG_BITS - 1).map(format_trade_tag)
old_marks = st.integers(0, 2**36 - 1).map("{:09x}".format)
attempts = st.integers(0, 2**ATTEMPT_BITS - 1)
old_attempts = st.integers(0, 2**28 - 1)
databases = st.integers(0, 2**DATABASE_BITS - 1).map(format_database_id)
trade_ids = st.integers(1, TRADES - 1)
reasons = st.sampled_from(list(EXITS.values()))
entries = st.builds(ClientId, marks, trade_ids, st.none(), st.just(True), attempts, databases)
exits = st.builds(ClientId, marks, trade_ids, reasons, st.booleans(), attempts, databases)
old_entries = st.builds(ClientId, old_marks, trade_ids, st.none(), st.just(True), old_attempts)
old_exits = st.builds(ClientId, old_marks, trade_ids, reasons, st.booleans(), old_attempts)
resting_stops = st.builds(ClientId, marks, trade_ids, st.none(), st.just(True), attempts, databases, st.just(True))
ids = entries | exits | resting_stops | old_entries | old_exits


@given(ids)
def test_what_an_id_says_can_be_read_again(client_id: ClientId) -> None:
    assert parse_client_id(str(client_id)) == client_id


@given(ids)
def test_kraken_takes_it_for_a_uuid_of_version_4(client_id: ClientId) -> None:
    text = str(client_id)

    assert CLIENT_ID.fullmatch(text)
    assert len(text) == 36
    assert text == text.lower() == str(uuid.UUID(text))
    assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (4, uuid.RFC_4122)


@given(ids, ids)
def test_two_that_differ_in_anything_have_two_ids(one: ClientId, other: ClientId) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(st.uuids(version=4) | st.text(max_size=40) | st.just("B07C7100-0000-4000-8000-000000000000"))
def test_what_others_give_their_orders_is_not_ours(foreign: object) -> None:
    assert parse_client_id(str(foreign)) is None


@given(ids, st.integers(9, 0x7F).filter(lambda role: role != RESTING) | st.just(0x80))
def test_a_role_that_nobody_gave_is_not_ours(client_id: ClientId, role: int) -> None:
    text = str(client_id)

    assert parse_client_id(f"{text[:6]}{role:02x}{text[8:]}") is None


def test_no_id_at_all_is_not_ours() -> None:
    assert parse_client_id(None) is None


@pytest.mark.parametrize("reason", list(ExitReason))
def test_every_reason_to_sell_has_a_role(reason: ExitReason) -> None:
    assert list(EXITS.values()).count(reason) == 1


@given(marks, attempts)
def test_the_number_of_a_trade_and_the_database_stand_in_it_for_people(mark: str, attempt: int) -> None:
    assert str(ClientId(mark, TRADES + 0xABC, None, True, attempt, "d00f"))[24:34] == "000abcd00f"


def test_an_id_from_before_databases_had_one_names_none() -> None:
    old = parse_client_id("b07c7101-1234-4567-889a-00000bcdef01")

    assert old == ClientId("123456789", 0xB, ExitReason.STOP_LOSS, True, 0xACDEF01)
