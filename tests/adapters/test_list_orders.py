"""All orders of the account, or none: pages are read to the last, and a bad one is never an account without orders."""

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from botctl.adapters.kraken.exchange import KrakenExchange
from botctl.domain.errors import ExchangeUnreachable
from botctl.domain.orders import OrderRecord, OrderRequest, Side
from tests.adapters.test_kraken import BROKEN, LONG_AGO, ORDER, ORDER_ID, database, exchange, no_patience
from tests.fake_kraken import FakeKraken, Never
from tests.quick import parametrize, parametrize_pairs

__all__ = ["database", "exchange"]

RECORD = {**ORDER, "vol": "0.002", "descr": {"pair": "XBTUSD", "type": "buy"}}
CLIENT_ID = "0f8fad5b-d9cb-469f-a165-70867728950{}"


def listed(exchange: KrakenExchange, since: datetime = LONG_AGO) -> list[OrderRecord]:
    return exchange.list_orders(since, lambda seen, whole: None)


def place(exchange: KrakenExchange, symbol: str = "BTC/USD", number: int = 1) -> None:
    deadline = exchange.now() + timedelta(seconds=30)
    exchange.add_order(OrderRequest(CLIENT_ID.format(number), Side.BUY, symbol, Decimal("0.001"), deadline))


def fill_pages(kraken: FakeKraken, count: int) -> None:
    """So many ended orders before the ones there are."""
    history = kraken.orders[0]
    kraken.orders[:0] = [
        dataclasses.replace(history, txid=f"O{n:05}-AAAAA-AAAAAA", cl_ord_id=None) for n in range(count)
    ]


def test_an_order_is_listed_with_what_was_asked_and_what_became_of_it(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    place(exchange)

    [record] = listed(exchange)

    assert (record.symbol, record.side, record.amount) == ("BTC/USD", Side.BUY, Decimal("0.001"))
    assert record.report.client_order_id == CLIENT_ID.format(1)
    assert record.report.exchange_order_id == kraken.orders[0].txid
    assert (record.report.final, record.report.filled) == (True, Decimal("0.001"))


def test_open_orders_are_asked_for_before_ended_ones(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    """An order moves from open to ended, never back: so it can't slip through between the two."""
    place(exchange)
    kraken.account.fill_mode = Never()
    place(exchange, number=2)
    kraken.clear_requests()

    records = listed(exchange)

    asked = [request.endpoint for request in kraken.requests if "Orders" in request.endpoint]
    assert asked == ["OpenOrders", "ClosedOrders"]
    assert [record.report.final for record in records] == [True, False]


def test_an_order_that_ends_while_we_look_is_listed_once_and_as_ended(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Never()
    place(exchange)

    def end_it(request: Any) -> None:
        if request.endpoint == "OpenOrders":
            kraken.account.fill_order(kraken.orders[0])

    kraken.after = end_it
    [record] = listed(exchange)

    assert record.report.final


@pytest.mark.parametrize("count", [49, 50, 51, 130])
@pytest.mark.parametrize("counted", [True, False])
def test_every_page_is_read_to_the_last(
    exchange: KrakenExchange, kraken: FakeKraken, count: int, counted: bool
) -> None:
    place(exchange)
    fill_pages(kraken, count - 1)
    kraken.account.counts_closed_orders = counted

    records = listed(exchange)

    assert len({record.report.exchange_order_id for record in records}) == len(records) == count


def test_what_ended_before_is_not_asked_for(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    place(exchange)

    assert listed(exchange, datetime.now(UTC) + timedelta(minutes=5)) == []


def test_the_one_who_waits_is_told_how_far_it_is(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    place(exchange)
    fill_pages(kraken, 119)
    told: list[tuple[int, int | None]] = []

    exchange.list_orders(LONG_AGO, lambda seen, whole: told.append((seen, whole)))

    assert told == [(50, 120), (100, 120), (120, 120)]


def test_an_order_of_a_market_that_is_gone_keeps_its_name(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    gone = {ORDER_ID: {**RECORD, "descr": {"pair": "LUNAUSD", "type": "sell"}}}
    kraken.fault("ClosedOrders", "shape", body={"error": [], "result": {"closed": gone, "count": 1}})

    [record] = listed(exchange)

    assert (record.symbol, record.side) == ("LUNAUSD", Side.SELL)


@parametrize_pairs(("fault", "page"), BROKEN, [("OpenOrders", 0), ("ClosedOrders", 0), ("ClosedOrders", 1)], quick=6)
def test_a_bad_answer_on_any_page_is_no_answer(
    exchange: KrakenExchange, kraken: FakeKraken, fault: tuple[str, dict[str, Any]], page: tuple[str, int]
) -> None:
    kind, options = fault
    endpoint, good_pages = page
    place(exchange)
    fill_pages(kraken, 70)
    kraken.fault(endpoint, kind, times=9, skip=good_pages, **options)

    with no_patience(), pytest.raises(ExchangeUnreachable):
        listed(exchange)


@parametrize(
    "record",
    [
        None,
        {},
        {**RECORD, "descr": None},
        {**RECORD, "descr": {"type": "buy"}},
        {**RECORD, "descr": {"pair": "XBTUSD", "type": "swap"}},
        {**RECORD, "vol": "NaN"},
        {**RECORD, "vol_exec": None},
        {**RECORD, "status": "gone"},
    ],
    quick=3,
)
def test_a_record_that_cannot_be_read_is_no_answer(exchange: KrakenExchange, kraken: FakeKraken, record: Any) -> None:
    body = {"error": [], "result": {"closed": {ORDER_ID: record}, "count": 1}}
    kraken.fault("ClosedOrders", "shape", body=body)

    with no_patience(), pytest.raises(ExchangeUnreachable):
        listed(exchange)


def test_pages_that_do_not_add_up_are_no_answer(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    body = {"error": [], "result": {"closed": {ORDER_ID: RECORD}, "count": 2}}
    kraken.fault("ClosedOrders", "shape", times=2, body=body)

    with pytest.raises(ExchangeUnreachable, match="don't match"):
        listed(exchange)


def test_a_count_that_is_too_low_ends_nothing(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    for page in ({ORDER_ID: RECORD}, {"OZZZZZ-ZZZZZ-ZZZZZZ": RECORD}, {}):
        kraken.fault("ClosedOrders", "shape", body={"error": [], "result": {"closed": page, "count": 0}})

    assert len(listed(exchange)) == 2
