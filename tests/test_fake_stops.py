"""The fake Kraken's resting stops, checked with the real ccxt: placed, held, fired, amended, canceled."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_kraken import FakeKraken, PartialThenCanceled
from tests.fake_kraken.account import PassedTrigger
from tests.test_fake_kraken import Client, connect, errors


@pytest.fixture
def kraken() -> Iterator[FakeKraken]:
    with FakeKraken() as server:
        server.set_price("BTC/USD", 50000)
        server.account.balances["XXBT"] = Decimal(1)
        yield server


@pytest.fixture
def client(kraken: FakeKraken) -> Client:
    return connect(kraken)


def place_stop(client: Client, trigger: str = "45000", amount: str = "1", **params: str) -> str:
    order = {"pair": "XBTUSD", "type": "sell", "ordertype": "stop-loss", "volume": amount, "price": trigger}
    answer = client.privatePostAddOrder({**order, "oflags": "fciq", **params})
    return str(answer["result"]["txid"][0])


def record(client: Client, txid: str) -> Any:
    return client.privatePostQueryOrders({"txid": txid, "trades": True})["result"][txid]


def test_a_stop_waits_until_the_last_price_is_at_its_trigger_and_keeps_its_id(
    kraken: FakeKraken, client: Client
) -> None:
    txid = place_stop(client, cl_ord_id="stop-1")
    kraken.set_price("BTC/USD", "45000.1")
    waiting = record(client, txid)
    kraken.set_price("BTC/USD", 44000)
    fired = record(client, txid)

    assert (waiting["status"], waiting["descr"]["price"], waiting["misc"]) == ("open", "45000.0", "")
    assert waiting["descr"]["order"] == "sell 1.00000000 XBTUSD @ stop loss 45000.0"
    assert (fired["status"], fired["vol_exec"], fired["misc"]) == ("closed", "1.00000000", "stopped")
    assert (fired["price"], fired["stopprice"], fired["cl_ord_id"]) == ("44000.0", "44000.00000", "stop-1")


@pytest.mark.parametrize("holds", [True, False])
def test_a_waiting_stop_may_hold_its_coins_or_not(kraken: FakeKraken, client: Client, holds: bool) -> None:
    kraken.account.stops_hold_coins = holds
    place_stop(client)

    if holds:
        with pytest.raises(errors.InsufficientFunds):
            client.create_order("BTC/USD", "market", "sell", "0.6")
        return
    client.create_order("BTC/USD", "market", "sell", "0.6", None, {"oflags": "fciq"})
    kraken.set_price("BTC/USD", 44000)

    stop = kraken.orders[0]
    assert (stop.status, stop.vol_exec, stop.reason) == ("canceled", Decimal("0.4"), "Insufficient funds")


@pytest.mark.parametrize(("what", "status"), [("fires", "closed"), ("is canceled", "canceled"), ("is refused", None)])
def test_a_trigger_above_the_price_does_what_the_test_says(
    kraken: FakeKraken, client: Client, what: PassedTrigger, status: str | None
) -> None:
    kraken.account.passed_trigger = what
    if status is None:
        with pytest.raises(errors.InvalidOrder, match="EGeneral:Invalid arguments:price"):
            place_stop(client, "50000.1")
        assert kraken.orders == []
    else:
        place_stop(client, "50000.1")
        assert kraken.orders[0].status == status


@pytest.mark.parametrize("status", ["maintenance", "cancel_only", "post_only", "limit_only"])
def test_nothing_fires_while_the_market_matches_nothing(kraken: FakeKraken, client: Client, status: str) -> None:
    place_stop(client)
    kraken.markets["BTC/USD"].status = status
    kraken.set_price("BTC/USD", 40000)
    assert kraken.orders[0].is_waiting

    kraken.markets["BTC/USD"].status = "online"
    kraken.set_price("BTC/USD", 39000)
    assert kraken.trades[0].price == 39000


def test_amending_keeps_the_id_moves_the_trigger_and_is_listed(kraken: FakeKraken, client: Client) -> None:
    txid = place_stop(client, cl_ord_id="stop-1")
    client.privatePostAmendOrder({"cl_ord_id": "stop-1", "trigger_price": "46000", "order_qty": "0.5"})

    amended = record(client, txid)
    assert (amended["descr"]["price"], amended["vol"], amended["misc"]) == ("46000.0", "0.50000000", "amended")
    assert kraken.account.holds == {"XXBT": Decimal("0.5")}
    amends = client.privatePostOrderAmends({"order_id": txid})["result"]["amends"]
    assert [(each["amend_type"], each["trigger_price"]) for each in amends] == [
        ("original", "45000.0"), ("user", "46000.0"),
    ]  # fmt: skip
    kraken.set_price("BTC/USD", 45900)
    assert kraken.orders[0].status == "closed"


def test_what_cannot_be_amended_is_refused(kraken: FakeKraken, client: Client) -> None:
    txid = place_stop(client)

    def refused(**params: str) -> str:
        with pytest.raises(errors.ExchangeError) as caught:
            client.privatePostAmendOrder({"txid": txid, **params})
        return str(json.loads(str(caught.value).removeprefix("kraken "))["error"][0])

    assert refused(trigger_price="45000.0") == "EOrder:No amendable parameters specified"
    assert refused(trigger_price="45000.01").startswith("EOrder:Invalid price")
    assert refused(order_qty="1.5") == "EOrder:Insufficient funds"
    assert refused(order_qty="0.00000001") == "EGeneral:Invalid arguments:volume minimum not met"
    kraken.set_price("BTC/USD", 44000)
    assert refused(trigger_price="46000") == "EOrder:Unknown order"


def test_a_batch_cancels_what_is_open_and_only_counts(kraken: FakeKraken, client: Client) -> None:
    txid = place_stop(client, amount="0.4")
    place_stop(client, amount="0.4", cl_ord_id="stop-2")
    closed = client.create_order("BTC/USD", "market", "sell", "0.1")["id"]

    named = {"orders": [txid, closed], "cl_ord_ids": [{"cl_ord_id": "stop-2"}]}
    assert client.privatePostCancelOrderBatch(named)["result"] == {"count": 2}
    assert {order.status for order in kraken.orders} == {"canceled", "closed"}
    assert kraken.account.holds == {}


def test_an_own_bid_at_the_top_kills_a_fired_stop_unless_it_cancels_the_oldest(
    kraken: FakeKraken, client: Client
) -> None:
    place_stop(client, amount="0.4")
    place_stop(client, amount="0.4", stptype="cancel-oldest")
    client.create_order("BTC/USD", "limit", "buy", "0.01", "44500")
    kraken.set_price("BTC/USD", 45000, bid=44500, ask=45000)

    first, second, bid = kraken.orders
    assert (first.status, first.vol_exec) == ("canceled", 0)
    assert (second.status, bid.status, bid.reason) == ("closed", "canceled", "Self trade prevention")


def test_a_stop_may_fill_in_part_and_too_many_are_refused(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.25"))
    txid = place_stop(client, amount="0.4")
    kraken.account.max_waiting_stops = 1
    with pytest.raises(errors.ExchangeError, match="Scheduled orders limit exceeded"):
        place_stop(client, amount="0.1")
    kraken.set_price("BTC/USD", 44000)

    ended = record(client, txid)
    assert (ended["status"], ended["vol_exec"], ended["misc"]) == ("canceled", "0.10000000", "stopped,partial")
