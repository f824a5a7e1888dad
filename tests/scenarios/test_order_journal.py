"""The order journal when answers are lost and runs die: never a second request for one intent."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from botctl.store.database import close_database
from botctl.store.journal import Journal
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.journal_tools import (
    ABSENT_AFTER,
    DEADLINE_AFTER,
    client_ids,
    lose_the_next_order,
    only,
    open_position,
    run_until,
    sent,
)

Fault = tuple[str, dict[str, Any]]
ONE_OF_EACH_KIND: list[Fault] = [
    ("status", {"status": 502}),
    ("empty", {}),
    ("truncated", {}),
    ("no_result", {}),
    ("shape", {"body": {"error": [], "result": {"descr": {}, "txid": []}}}),
    ("error", {"error": "EService:Unavailable"}),
    ("error", {"error": ["EOrder:Insufficient funds", "EService:Busy"]}),
]
STATUSES: list[Fault] = [("status", {"status": status}) for status in (500, 503, 520)]
BAD_BODIES: list[Fault] = [
    ("html", {}),
    ("short_body", {}),
    ("null_result", {}),
    ("empty_result", {}),
    ("shape", {"body": []}),
    ("shape", {"body": {"result": {"txid": ["OABC"]}}}),
    ("shape", {"body": {"error": [], "result": {"descr": {}, "txid": [None]}}}),
    ("shape", {"body": {"error": [], "result": {"descr": {}, "txid": "OABC"}}}),
]
UNCLEAR_TEXTS: list[Fault] = [
    ("error", {"error": text})
    for text in (
        "EService:Busy",
        "EService:Timeout",
        "EService:Market in cancel_only mode",
        "EGeneral:Internal error",
        "EDatabase:Internal error",
        "EOrder:A text that nobody has seen before",
        "EGeneral:Invalid arguments:cl_ord_id not unique",
        "WGeneral:Odd",
    )
]
LOST = [*ONE_OF_EACH_KIND, *STATUSES, *BAD_BODIES, *UNCLEAR_TEXTS]
LOST_BEFORE = [("drop_before", {}), *LOST]
LOST_AFTER = [("drop_after", {}), ("warning", {}), *LOST]
DEFINITE = [
    "EOrder:Insufficient funds",
    "EOrder:Order minimum not met",
    "EOrder:Cost minimum not met",
    "EGeneral:Invalid arguments:volume minimum not met",
    "EGeneral:Invalid arguments:volume",
    "EGeneral:Invalid arguments",
    "EGeneral:Permission denied",
    "EAccount:Invalid permissions:BTC trading restricted",
    "EQuery:Unknown asset pair",
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
]


# Intent before request: a run that dies


@parametrize(
    ("endpoint", "moment"),
    [("AddOrder", "before"), ("AddOrder", "after"), ("QueryOrders", "before"), ("QueryTrades", "after")],
    quick=1,
)
def test_a_buy_whose_run_was_killed_is_adopted_with_its_stop(
    live: BotRunner, kraken: FakeKraken, endpoint: str, moment: str
) -> None:
    run_until(live, kraken, endpoint, moment, "buy", "BTC/USD", "100", "--yes")
    assert [trade["status"] for trade in live.trades()] == ["PENDING"]

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    [bought] = kraken.orders
    trade = only(live.positions())
    assert (trade["status"], trade["entry_order_id"]) == ("OPEN", bought.txid)
    assert (Decimal(trade["amount"]), Decimal(trade["entry_cost"])) == (bought.vol_exec, bought.cost)
    assert Decimal(trade["stop_loss_price"]) == 49000
    assert len(sent(kraken)) == 1


@parametrize(("endpoint", "moment"), [("AddOrder", "before"), ("AddOrder", "after")], quick=1)
def test_a_stop_whose_run_was_killed_sells_once(
    live: BotRunner, kraken: FakeKraken, endpoint: str, moment: str
) -> None:
    kraken.balances["XXBT"] = Decimal(1)  # enough to sell twice
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    run_until(live, kraken, endpoint, moment, "tick")

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    trade = only(live.trades())
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert trade["exit_order_id"] == kraken.orders[1].txid
    assert len(sent(kraken, "sell")) == 1
    assert kraken.balances["XXBT"] == 1


@pytest.mark.usefixtures("bent_time")
def test_a_buy_that_never_arrived_is_absent_only_when_it_can_no_longer_trade(
    live: BotRunner, kraken: FakeKraken
) -> None:
    run_until(live, kraken, "AddOrder", "lost", "buy", "BTC/USD", "100", "--yes")
    kraken.clock.offset = DEADLINE_AFTER + ABSENT_AFTER - 30  # the deadline is past, the margin is not

    early, second = live.run("check-positions"), live.run("buy", "BTC/USD", "100", "--yes")
    state_then = only(live.orders())["state"]
    kraken.clock.offset = DEADLINE_AFTER + ABSENT_AFTER + 5
    late = live.run("check-positions")

    assert (early.exit_code, state_then) == (69, "UNKNOWN")
    assert second.exit_code == 3
    assert "BTC already has trade 1" in second.stderr
    assert late.exit_code == 0, late.stderr
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("ABSENT", "FAILED")
    assert len(sent(kraken)) == 1
    assert open_position(live)["id"] == 2  # the asset is free again


@pytest.mark.usefixtures("bent_time")
def test_a_stop_that_never_arrived_is_sent_again_under_a_new_id(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    run_until(live, kraken, "AddOrder", "lost", "check-positions")

    unsure = live.run("check-positions")
    sells_then = len(sent(kraken, "sell"))
    kraken.clock.offset = DEADLINE_AFTER + ABSENT_AFTER + 5
    kraken.set_price("BTC/USD", 50500)  # an exit that has begun goes on, whatever the price
    done = live.run("check-positions")

    assert (unsure.exit_code, sells_then) == (69, 1)
    assert done.exit_code == 0, done.stderr
    assert [order["state"] for order in live.orders()] == ["FILLED", "ABSENT", "FILLED"]
    assert len(client_ids(sent(kraken, "sell"))) == 2
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


def test_an_order_that_was_only_intended_never_leaves(live: BotRunner, kraken: FakeKraken) -> None:
    now = datetime.now(UTC)
    live.open_store()
    Journal("live").intend_entry(
        "BTC/USD", Decimal("0.002"), 500, check=lambda: None, deadline=now + timedelta(seconds=30), now=now
    )
    close_database()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("ABSENT", "FAILED")
    assert sent(kraken) == []


# Lost answers


@parametrize(("kind", "options"), LOST_AFTER, quick=3)
def test_a_buy_whose_answer_was_lost_is_found_and_adopted(
    live: BotRunner, kraken: FakeKraken, kind: str, options: dict[str, Any]
) -> None:
    kraken.fault("AddOrder", kind, processed=True, **options)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    [placed] = kraken.orders
    order = only(live.orders())
    assert (order["state"], order["exchange_order_id"]) == ("FILLED", placed.txid)
    assert order["error"]  # it was in doubt, and looked up
    assert Decimal(only(live.positions())["entry_cost"]) == placed.cost
    assert len(sent(kraken)) == 1


@parametrize(("kind", "options"), LOST_AFTER[::3], quick=1)
def test_a_stop_whose_answer_was_lost_has_sold_once(
    live: BotRunner, kraken: FakeKraken, kind: str, options: dict[str, Any]
) -> None:
    kraken.balances["XXBT"] = Decimal(1)
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", kind, processed=True, **options)

    runs = [live.run("tick"), live.run("tick")]

    assert [run.exit_code for run in runs] == [0, 0], runs[0].stderr
    assert only(live.trades())["status"] == "CLOSED"
    assert len(sent(kraken, "sell")) == 1
    assert kraken.balances["XXBT"] == 1


@parametrize(("kind", "options"), LOST_BEFORE, quick=2)
def test_a_buy_that_may_exist_is_unknown_and_keeps_its_asset_until_it_is_proved_absent(
    live: BotRunner, kraken: FakeKraken, kind: str, options: dict[str, Any]
) -> None:
    lose_the_next_order(kraken, kind, **options)

    lost = live.run("buy", "BTC/USD", "100", "--yes", "--json")
    again = live.run("buy", "BTC/USD", "100", "--yes")
    order, trade = only(live.orders()), only(live.trades())
    with later(minutes=16):
        live.run("check-positions")

    assert (lost.exit_code, lost.json()["category"]) == (69, "outcome_unknown")
    assert again.exit_code == 3
    assert (order["state"], trade["status"]) == ("UNKNOWN", "PENDING")
    assert order["error"]
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("ABSENT", "FAILED")
    assert len(sent(kraken)) == 1


def test_a_sell_that_may_exist_is_not_sent_again_by_hand(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    lose_the_next_order(kraken)

    lost = live.run("sell", "BTC/USD", "--yes")
    again = live.run("sell", "BTC/USD", "--yes")

    assert (lost.exit_code, again.exit_code) == (69, 69)
    assert "ending is unknown" in again.stderr
    assert len(sent(kraken, "sell")) == 1
    assert only(live.positions())["status"] == "OPEN"


@pytest.mark.usefixtures("bent_time")
@parametrize("looks", [1, 2, 5], quick=1)
def test_an_order_that_is_slow_to_appear_is_found_all_the_same(live: BotRunner, kraken: FakeKraken, looks: int) -> None:
    kraken.account.closed_orders_lag_looks = looks
    kraken.fault("AddOrder", "drop_after")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert only(live.positions())["entry_order_id"] == kraken.orders[0].txid
    assert len(sent(kraken)) == 1


@pytest.mark.usefixtures("bent_time")
def test_an_order_that_surfaces_a_minute_late_is_adopted_by_the_next_run(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.closed_orders_lag = 60
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")

    unsure = live.run("check-positions")
    kraken.clock.offset = 61
    sure = live.run("check-positions")

    assert (unsure.exit_code, sure.exit_code) == (69, 0)
    assert only(live.positions())["entry_order_id"] == kraken.orders[0].txid
    assert len(sent(kraken)) == 1


@parametrize_pairs(
    ("kind", "endpoint"),
    ["empty", "html", "truncated", "no_result", "empty_result"],
    ["OpenOrders", "ClosedOrders"],
    quick=2,
)
def test_a_bad_answer_to_the_look_up_is_no_proof_of_absence(
    live: BotRunner, kraken: FakeKraken, endpoint: str, kind: str
) -> None:
    kraken.fault("AddOrder", "drop_after")
    kraken.fault("OpenOrders", "error", error="EGeneral:Temporary lockout")
    live.run("buy", "BTC/USD", "100", "--yes")

    with later(minutes=16):  # long past the deadline: one empty list would be the proof
        kraken.fault(endpoint, kind)
        run = live.run("check-positions")
        if run.exit_code:  # not repeated: the next run looks again
            run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert only(live.positions())["entry_order_id"] == kraken.orders[0].txid


@pytest.mark.usefixtures("bent_time")
def test_a_run_waits_twenty_seconds_in_all_for_an_order_and_leaves_it_to_the_next(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.closed_orders_lag = 22  # no look-up finds it meanwhile
    started = time.monotonic()

    lost = live.run("buy", "BTC/USD", "100", "--yes")
    waited = time.monotonic() - started
    state = only(live.orders())["state"]
    kraken.orders[0].visible_at = 0
    run = live.run("check-positions")

    assert (lost.exit_code, state) == (69, "ACCEPTED")
    assert 15 < waited < 30
    assert run.exit_code == 0, run.stderr
    assert Decimal(only(live.positions())["stop_loss_price"]) == 49000
    assert len(sent(kraken)) == 1


@pytest.mark.usefixtures("bent_time")
def test_a_run_waits_twenty_seconds_in_all_also_for_an_order_that_nobody_finds(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.run("tick")  # asks what is asked once a day
    time.sleep(60)  # Kraken's rate counter forgives
    kraken.fault("AddOrder", "drop_before")
    started = time.monotonic()

    lost = live.run("buy", "BTC/USD", "100", "--yes")

    assert (lost.exit_code, only(live.orders())["state"]) == (69, "UNKNOWN")
    assert time.monotonic() - started < 30


# Definite refusals, and those before processing


@parametrize("text", DEFINITE, quick=2)
def test_a_definite_refusal_of_a_buy_is_rejected_and_its_trade_failed(
    live: BotRunner, kraken: FakeKraken, text: str
) -> None:
    kraken.fault("AddOrder", "error", error=text)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4
    assert text in run.stderr
    assert kraken.orders == []
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("REJECTED", "FAILED")
    assert len(sent(kraken)) == 1
    assert open_position(live)["id"] == 2


@pytest.mark.usefixtures("bent_time")
@parametrize("text", ["EAPI:Invalid nonce", "EAPI:Rate limit exceeded"], quick=1)
def test_a_refusal_before_processing_is_repeated_with_the_same_id(
    live: BotRunner, kraken: FakeKraken, text: str
) -> None:
    kraken.fault("AddOrder", "error", error=text)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert len(sent(kraken)) == 2
    assert client_ids(sent(kraken)) == {only(live.orders())["client_order_id"]}
    assert len(kraken.orders) == 1


@pytest.mark.usefixtures("bent_time")
@parametrize("text", ["EAPI:Invalid nonce", "EAPI:Rate limit exceeded", "EOrder:Rate limit exceeded"], quick=1)
def test_a_refusal_before_processing_that_persists_ends_after_a_few_attempts(
    live: BotRunner, kraken: FakeKraken, text: str
) -> None:
    kraken.fault("AddOrder", "error", times=99, error=text)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 69
    assert 2 <= len(sent(kraken)) <= 5
    assert len(client_ids(sent(kraken))) == 1
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("REJECTED", "FAILED")


@pytest.mark.usefixtures("bent_time")
@parametrize(("text", "attempts"), [("EAPI:Invalid nonce", 1), ("EOrder:Insufficient funds", 2)], quick=1)
def test_a_stop_that_was_refused_is_tried_again_by_the_next_tick_under_a_new_id(
    live: BotRunner, kraken: FakeKraken, text: str, attempts: int
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "error", times=3, error=text)
    refused = live.run("tick")
    kraken.clear_faults()
    kraken.set_price("BTC/USD", 49500)  # above the stop again: the exit has begun

    done = live.run("tick")

    assert refused.exit_code != 0
    assert done.exit_code == 0, done.stderr
    assert [order["state"] for order in live.orders()] == ["FILLED", *["REJECTED"] * attempts, "FILLED"]
    assert len(client_ids(sent(kraken, "sell"))) == attempts + 1
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


# Deadlines and clocks


def test_a_sell_whose_deadline_was_refused_is_followed_by_one_fresh_one(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.clear_requests()
    kraken.fault("AddOrder", "error", error="EGeneral:Invalid arguments:deadline")

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, run.stderr
    endpoints = [request.endpoint for request in kraken.requests]
    assert "Time" in endpoints[endpoints.index("AddOrder") :]
    assert (len(sent(kraken)), len(client_ids(sent(kraken)))) == (2, 2)
    assert len([order for order in kraken.orders if order.side == "sell"]) == 1
    assert [order["state"] for order in live.orders()[-2:]] == ["REJECTED", "FILLED"]


def test_a_buy_whose_deadline_was_refused_ends_and_the_next_one_has_the_right_time(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.fault("AddOrder", "error", error="EGeneral:Invalid arguments:deadline")

    run = live.run("buy", "BTC/USD", "100", "--yes")
    sent_then = len(sent(kraken))
    kraken.clear_requests()
    open_position(live)

    assert (run.exit_code, sent_then) == (69, 1)
    endpoints = [request.endpoint for request in kraken.requests]
    assert "Time" in endpoints[: endpoints.index("AddOrder")]
    assert {trade["status"] for trade in live.trades()} == {"FAILED", "OPEN"}


def test_a_sell_whose_deadline_is_refused_twice_is_given_up(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.clear_requests()
    kraken.fault("AddOrder", "error", times=99, error="EGeneral:Invalid arguments:deadline")

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 69
    assert len(sent(kraken)) == 2
    assert only(live.positions())["status"] == "OPEN"


@pytest.mark.parametrize("offset", [-300, 300])
def test_a_clock_that_is_wrong_by_minutes_spoils_no_deadline(
    bot: BotRunner, kraken: FakeKraken, offset: int, request: pytest.FixtureRequest
) -> None:
    kraken.clock.offset = offset
    live: BotRunner = request.getfixturevalue("live")

    bought = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.set_price("BTC/USD", 48900)
    sold = live.run("tick")

    assert (bought.exit_code, sold.exit_code) == (0, 0), bought.stderr + sold.stderr
    assert only(live.trades())["status"] == "CLOSED"
    for order in sent(kraken):
        assert 20 <= datetime.fromisoformat(order.params["deadline"]).timestamp() - order.at <= 40
    assert len(sent(kraken)) == 2
