"""Stops that rest at Kraken: placed after an entry, proved at each run, moved up, canceled before any other sell.

BTC is at 50,000 with an ATR of 500: the rule's stop is at 49,000, the resting one, one ATR lower, at 48,500.
"""

from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, PartialThenCanceled
from tests.fake_kraken.lies import EmptyList
from tests.fake_kraken.orders import Order
from tests.scenarios.journal_tools import only
from tests.scenarios.steps import buy, requested_endpoints, stopped_clock, trade_of

AMOUNT = Decimal("0.002")


@pytest.fixture(params=[True, False], ids=["coins held", "coins not held"])
def guarded(request: pytest.FixtureRequest, live: BotRunner, kraken: FakeKraken, bent_time: None) -> BotRunner:
    """A live bot with a position and its resting stop; the owner has as many coins beside it."""
    kraken.account.stops_hold_coins = request.param
    kraken.account.balances["XXBT"] = AMOUNT
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.clear_requests()
    return live


def stops(kraken: FakeKraken) -> list[Order]:
    return [order for order in kraken.orders if order.trigger is not None]


def waiting(kraken: FakeKraken) -> Order:
    return only([order for order in stops(kraken) if order.is_waiting])


def test_a_stop_rests_after_the_entry_and_a_quiet_check_asks_once_more(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    assert (stop.trigger, stop.volume, stop.self_trade) == (Decimal(48500), AMOUNT, "cancel-oldest")
    assert [order["state"] for order in guarded.orders()] == ["FILLED", "RESTING"]

    run = guarded.run("check-positions")

    assert (run.exit_code, run.stderr) == (0, "")
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "OpenOrders", "Ticker"]


def test_it_moves_up_with_the_stop_and_never_down(guarded: BotRunner, kraken: FakeKraken) -> None:
    placed = waiting(kraken).txid
    kraken.set_price("BTC/USD", 52000)
    guarded.run("check-positions")
    assert trade_of(guarded)["stop_loss_price"] == "51000.0"
    assert (waiting(kraken).txid, waiting(kraken).trigger) == (placed, Decimal(50500))

    kraken.set_price("BTC/USD", 51500)
    kraken.clear_requests()
    assert guarded.run("check-positions").exit_code == 0
    assert waiting(kraken).trigger == Decimal(50500)
    assert "AmendOrder" not in requested_endpoints(kraken)


def test_a_hit_stop_cancels_learns_the_ending_and_sells_once(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 48900)

    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    asked = requested_endpoints(kraken)
    assert set(asked[:2]) == {"Ticker", "BalanceEx"}  # at the same time: either may arrive first
    assert asked[2:5] == ["CancelOrder", "QueryOrders", "AddOrder"]
    assert [(order.status, order.vol_exec) for order in stops(kraken)] == [("canceled", 0)]
    assert kraken.account.balances["XXBT"] == AMOUNT
    trade = trade_of(guarded)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")


def test_one_that_fired_while_nobody_looked_is_the_exit(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 48000)
    kraken.set_price("BTC/USD", 51000)

    run = guarded.run("tick")

    assert run.exit_code == 0, run.stderr
    trade, fill = trade_of(guarded), kraken.trades[-1]
    assert (trade["status"], trade["exit_reason"], Decimal(trade["exit_price"])) == ("CLOSED", "STOP_LOSS", 48000)
    assert Decimal(trade["exit_fee"]) == fill.fee
    assert kraken.account.balances["XXBT"] == AMOUNT
    assert len(kraken.orders) == 2


@pytest.mark.parametrize("command", [("sell", "BTC/USD", "--yes"), ("liquidate", "--yes")])
def test_every_exit_cancels_it_first(guarded: BotRunner, kraken: FakeKraken, command: tuple[str, ...]) -> None:
    run = guarded.run(*command)

    assert run.exit_code == 0, run.stderr
    assert stops(kraken)[0].status == "canceled"
    assert kraken.account.balances["XXBT"] == AMOUNT
    assert trade_of(guarded)["status"] == "CLOSED"


def test_a_sell_of_a_part_leaves_a_smaller_one(guarded: BotRunner, kraken: FakeKraken) -> None:
    run = guarded.run("sell", "BTC/USD", "0.0005", "--yes")

    assert run.exit_code == 0, run.stderr
    assert waiting(kraken).volume == Decimal("0.0015")
    assert kraken.account.balances["XXBT"] == AMOUNT + Decimal("0.0015")


def test_one_that_the_owner_canceled_is_placed_anew(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.cancel_order(waiting(kraken))

    run = guarded.run("tick")

    assert run.exit_code == 0, run.stderr
    assert "canceled outside botctl" in run.stderr
    assert waiting(kraken).trigger == Decimal(48500)
    assert [order["state"] for order in guarded.orders()].count("RESTING") == 1


def test_one_of_a_trade_that_ended_is_canceled(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    guarded.execute("UPDATE \"order\" SET state = 'ABSENT', settled_at = created_at WHERE state = 'RESTING'")
    guarded.execute("UPDATE trade SET status = 'CLOSED'")

    guarded.run("tick")

    assert stop.status == "canceled"


def test_a_position_that_gets_none_is_named_and_the_run_fails(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    kraken.account.max_waiting_stops = 0

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code != 0
    assert "has no resting stop" in run.stderr
    assert trade_of(live)["status"] == "OPEN"
    kraken.account.max_waiting_stops = 10
    assert live.run("tick").exit_code == 0
    assert waiting(kraken).volume == AMOUNT


@pytest.mark.parametrize("part", ["0.5", "2"])
def test_one_of_another_size_by_the_owner_is_the_exit_all_the_same(
    guarded: BotRunner, kraken: FakeKraken, part: str
) -> None:
    stop = waiting(kraken)
    assert stop.trigger is not None
    kraken.account.amend(stop, stop.trigger, AMOUNT * Decimal(part))
    kraken.set_price("BTC/USD", 48400)

    run = guarded.run("tick")

    trade = trade_of(guarded)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS"), run.stderr
    left = AMOUNT if part == "0.5" else Decimal(0)
    assert kraken.account.balances["XXBT"] == left
    assert ("more than the trade held" in run.stderr) == (part == "2")
    assert guarded.run("tick").exit_code == 0


@pytest.mark.usefixtures("bent_time")
def test_one_that_ended_as_it_was_placed_is_said(live: BotRunner, kraken: FakeKraken) -> None:
    """Its answer was lost, and it had ended when it was looked up."""
    live.set(EXCHANGE_STOP="on")
    kraken.account.passed_trigger = "is canceled"
    kraken.after = lambda request: kraken.set_price("BTC/USD", 48400) if request.endpoint == "QueryTrades" else None
    kraken.fault("AddOrder", "drop_after", skip=1)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert "has no resting stop: it ended CANCELED" in run.stderr
    assert run.exit_code == 1


def test_a_move_that_was_not_recorded_is_recorded_by_the_next_run(guarded: BotRunner, kraken: FakeKraken) -> None:
    """A run died between the exchange's answer and its record: the reason of the exit is that of the new level."""
    kraken.set_price("BTC/USD", 52000)
    guarded.run("check-positions")
    guarded.execute("UPDATE \"order\" SET \"trigger\" = '48500', reason = 'STOP_LOSS' WHERE state = 'RESTING'")

    assert "rests at" not in guarded.run("check-positions").stderr
    kraken.set_price("BTC/USD", 50000)
    guarded.run("tick")

    assert trade_of(guarded)["exit_reason"] == "TRAILING_STOP"


def test_one_whose_trade_the_owner_has_sold_is_canceled(live: BotRunner, kraken: FakeKraken) -> None:
    """Where a stop keeps no coins back he can sell them; it would sell what he buys later."""
    kraken.account.stops_hold_coins = False
    live.set(EXCHANGE_STOP="on")
    with stopped_clock() as clock:
        buy(live)
        kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)
        for _ in range(3):
            clock.tick(900)
            live.run("tick")

    assert trade_of(live)["exit_reason"] == "EXTERNAL"
    assert [order.status for order in stops(kraken)] == ["canceled"]
    assert [order["state"] for order in live.orders()] == ["FILLED", "CANCELED"]


def test_drawdown_counts_what_one_that_fired_has_brought(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.set_price("BTC/USD", 48000)

    run = live.run("drawdown")

    assert run.exit_code == 0, run.stderr
    assert "the resting stop of trade 1 has sold 0.002 of 0.002 BTC/USD" in run.stderr
    assert trade_of(live)["status"] == "CLOSED"


in_one_world = pytest.mark.parametrize("guarded", [True], indirect=True, ids=["coins held"])
"""Whether a stop keeps coins back plays no part."""


@in_one_world
def test_one_that_the_owner_has_made_smaller_is_replaced(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    kraken.account.amend(stop, Decimal(48500), AMOUNT / 2)

    assert guarded.run("check-positions").exit_code == 0
    assert stop.status == "canceled"
    assert waiting(kraken).volume == AMOUNT


@in_one_world
def test_one_that_the_owner_has_raised_stays_there(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.amend(waiting(kraken), Decimal(49500), AMOUNT)

    assert guarded.run("check-positions").exit_code == 0
    assert waiting(kraken).trigger == Decimal(49500)


@in_one_world
def test_a_list_that_lacks_it_proves_nothing_and_is_said(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.lies.tell(EmptyList("OpenOrders"), answers=1)

    run = guarded.run("check-positions")

    assert "has no resting stop: the list of open orders lacks it" in run.stderr
    assert run.exit_code == 1
    assert len(stops(kraken)) == 1
    assert guarded.run("check-positions").exit_code == 0


@in_one_world
def test_the_rest_of_one_that_fired_in_part_is_sold(guarded: BotRunner, kraken: FakeKraken) -> None:
    waiting(kraken).mode = PartialThenCanceled(Decimal("0.25"))
    kraken.set_price("BTC/USD", 48000)
    kraken.set_price("BTC/USD", 51000)

    for _ in range(2):
        guarded.run("check-positions")

    trade = trade_of(guarded)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert kraken.account.balances["XXBT"] == AMOUNT


@in_one_world
def test_a_sell_of_more_than_there_is_leaves_it_alone(guarded: BotRunner, kraken: FakeKraken) -> None:
    run = guarded.run("sell", "BTC/USD", "0.0021", "--yes")

    assert run.exit_code == 2
    assert waiting(kraken).volume == AMOUNT
