"""A resting stop that is not as it should be: moved, resized or hidden by somebody, refused, forgotten. It is mended at
once or said, and nothing is sold twice.

BTC is at 50,000 with an ATR of 500: the rule's stop is at 49,000, the resting one, one ATR lower, at 48,500.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from botctl.domain.client_order_ids import parse_client_id
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Instant, Never, PartialThenCanceled, Request
from tests.fake_kraken.faults import Reply
from tests.fake_kraken.orders import FillMode, Order, new_id
from tests.quick import parametrize
from tests.scenarios.database_loss import lose, reconciled, recover
from tests.scenarios.journal_tools import only, place_by_hand
from tests.scenarios.steps import buy, requested_endpoints, trade_of

AMOUNT = Decimal("0.002")

pytestmark = pytest.mark.usefixtures("bent_time")


@pytest.fixture
def guarded(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A live bot with a position and its resting stop; the owner has as many coins beside it."""
    kraken.account.balances["XXBT"] = AMOUNT
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.clear_requests()
    return live


def waiting(kraken: FakeKraken) -> Order:
    return only([order for order in kraken.orders if order.is_waiting])


def change_open_orders(kraken: FakeKraken, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what OpenOrders lists, on the wire alone."""

    def alter(request: Request, reply: Reply) -> Reply:
        if request.endpoint != "OpenOrders":
            return reply
        answer = json.loads(reply.body)
        change(answer["result"]["open"])
        return replace(reply, body=json.dumps(answer).encode())

    kraken.alter_reply = alter


def test_triggers_are_on_the_grid_of_prices_and_never_above_the_rule(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.markets["BTC/USD"].tick_size = Decimal(400)
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")
    live.set(EXCHANGE_STOP="on")

    buy(live)
    assert waiting(kraken).trigger == Decimal(48400)
    kraken.set_price("BTC/USD", 52000)
    assert live.run("check-positions").exit_code == 0

    assert waiting(kraken).trigger == Decimal(50400)


def test_a_position_without_its_resting_stop_is_named_wherever_positions_are(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(EXCHANGE_STOP="on", METRICS_FILE="metrics.prom")
    kraken.account.max_waiting_stops = 0
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code != 0
    live.run("tick")

    [position], status = live.json("positions"), live.json("status")
    table, text, doctor = live.run("positions"), live.run("status"), live.run("doctor")

    assert (position["resting_trigger"], position["unprotected"]) == (None, "none")
    assert (status["resting_stops"], status["unprotected"]) == (0, ["BTC/USD (trade 1)"])
    assert "none!" in table.stdout
    assert "1 open position has no resting stop: BTC/USD (trade 1)" in table.stderr
    assert "UNPROTECTED: no stop rests at the exchange" in text.stdout
    assert "BTC/USD (trade 1) has none" in doctor.stdout
    assert 'botctl_unprotected_positions{mode="live"} 1.0' in (live.home / "metrics.prom").read_text()


def test_doctor_counts_resting_stops_and_names_why_one_can_not_be(guarded: BotRunner, kraken: FakeKraken) -> None:
    well = guarded.run("doctor")
    assert "1 rests at Kraken, for 1 open trade" in " ".join(well.stdout.split())

    kraken.account.cancel_order(waiting(kraken))
    kraken.markets["BTC/USD"].ordermin = Decimal("0.01")
    guarded.execute("DELETE FROM memory WHERE key = 'kraken.markets'")
    guarded.run("tick")
    ill = " ".join(guarded.run("doctor").stdout.split())

    assert "BTC/USD (trade 1) has none: 0.002 BTC is below the order minimum of 0.01 BTC" in ill


def test_doctor_warns_before_kraken_has_no_room_for_another_stop(guarded: BotRunner, kraken: FakeKraken) -> None:
    owned = place_by_hand(kraken, "buy", Decimal("0.0001"), 40000)
    kraken.orders.extend(replace(owned, txid=new_id("O"), trade_ids=[]) for _ in range(55))

    run = guarded.run("doctor")

    assert "57 orders are open in BTC/USD: Kraken allows 60 in the lowest tier" in " ".join(run.stdout.split())


def test_what_rests_with_the_setting_off_is_said_and_still_canceled_before_an_exit(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    stop = waiting(kraken)
    guarded.set(EXCHANGE_STOP="off")
    kraken.set_price("BTC/USD", 52000)

    tick, doctor = guarded.run("tick"), guarded.run("doctor")

    said = "with EXCHANGE_STOP=off, and no longer move"
    assert (tick.exit_code, stop.is_open, stop.trigger) == (0, True, Decimal(48500))
    assert f"1 stops rest at the exchange {said}: `botctl resting-stops --cancel` cancels them" in tick.stderr
    assert said in " ".join(doctor.stdout.split())
    kraken.set_price("BTC/USD", 50900)
    assert guarded.run("check-positions").exit_code == 0
    assert (stop.status, trade_of(guarded)["status"]) == ("canceled", "CLOSED")


def test_pause_leaves_it_and_freeze_says_who_guards(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    kraken.set_price("BTC/USD", 52000)
    guarded.run("pause")
    assert guarded.run("tick").exit_code == 0
    assert (stop.is_open, stop.trigger) == (True, Decimal(50500))

    frozen = guarded.run("pause", "--freeze")
    status, tick = guarded.run("status"), guarded.run("tick")

    said = "1 open position is guarded at Kraken only, by its resting stop"
    assert f"frozen: {said} until `botctl resume`" in frozen.stderr
    assert f"FROZEN: {said}" in status.stderr
    assert f"frozen: {said}, and nothing is traded" in tick.stderr
    assert stop.is_open
    assert f"botctl is frozen: {said}" in guarded.run("check-positions").stderr
    assert f"{said}, since botctl is frozen" in " ".join(guarded.run().stdout.split())
    assert "guarded at Kraken only: frozen" in status.stdout
    page = guarded.home / "page.html"
    guarded.run("report", "--output", str(page))
    assert "at Kraken only: frozen; a stop rests at Kraken at 50,500.0" in page.read_text()


@pytest.mark.parametrize("amount", ["0.002", "0.0015"])
def test_a_frozen_position_is_no_alarm_while_a_stop_rests_for_all_of_it(guarded: BotRunner, amount: str) -> None:
    guarded.set(METRICS_FILE="metrics.prom")
    guarded.execute(f"UPDATE \"order\" SET amount = '{amount}' WHERE state = 'RESTING'")
    with later(hours=1):
        unchecked = [alarm["key"] for alarm in guarded.json("status")["alarms"]]
    guarded.run("pause", "--freeze")
    for minutes in (0, 60):
        with later(minutes=minutes):
            guarded.run("tick")

    alarms = [alarm["key"] for alarm in guarded.json("status")["alarms"]]
    count = int(amount != "0.002")
    assert f'botctl_unguarded_positions{{mode="live"}} {count}.0' in (guarded.home / "metrics.prom").read_text()
    assert ("unguarded" in unchecked, "unguarded" in alarms) == (True, bool(count))


def test_a_frozen_position_without_one_is_counted_apart(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    kraken.account.max_waiting_stops = 0
    guarded.run("buy", "ETH/USD", "100", "--yes")

    run = guarded.run("pause", "--freeze")

    assert "1 of 2 open positions are guarded at Kraken only, by their resting stops; 1 is NOT guarded" in run.stderr


def test_forget_cancels_it_and_no_order_of_the_owner(guarded: BotRunner, kraken: FakeKraken) -> None:
    owned = place_by_hand(kraken, "buy", Decimal("0.001"), 40000)

    run = guarded.run("forget", "1", "--yes")

    assert run.exit_code == 0, run.stderr
    assert [order for order in kraken.orders if order.is_open] == [owned]
    assert guarded.run("tick").exit_code == 0
    assert [order.side for order in kraken.orders if order.vol_exec] == ["buy"]


def test_forget_leaves_the_trade_open_while_its_stop_may_still_sell(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("CancelOrder", "error", error="EService:Unavailable", times=10)

    run = guarded.run("forget", "1", "--yes")

    assert run.exit_code != 0
    assert trade_of(guarded)["status"] == "OPEN"


def test_a_lost_database_gets_its_resting_stop_back_and_goes_on_with_it(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop, before = waiting(kraken), guarded.json("resting-stops")
    lose(guarded)

    recover(guarded)
    guarded.run("resume")
    kraken.set_price("BTC/USD", 52000)
    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert [stop] == [order for order in kraken.orders if order.is_waiting]
    assert stop.trigger == Decimal(50500)
    assert [row["client_order_id"] for row in guarded.json("resting-stops")] == [before[0]["client_order_id"]]


def test_an_older_database_adopts_the_stop_that_it_lacks(guarded: BotRunner, kraken: FakeKraken) -> None:
    guarded.execute("DELETE FROM event WHERE order_id = (SELECT id FROM \"order\" WHERE state = 'RESTING')")
    guarded.execute("DELETE FROM \"order\" WHERE state = 'RESTING'")

    assert reconciled(guarded).exit_code != 0
    recover(guarded)

    assert guarded.json("resting-stops")[0]["exchange_order_id"] == waiting(kraken).txid
    assert reconciled(guarded).exit_code == 0


def test_reconcile_shows_what_rests(guarded: BotRunner) -> None:
    answer = reconciled(guarded).json()

    states = [(row["journal_state"], row["exchange_state"]) for row in answer["orders"]]
    assert (answer["same"], states) == (True, [("FILLED", "FILLED"), ("RESTING", "RESTING")])


def test_its_trigger_shows_in_positions_and_its_moves_in_explain(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 52000)
    guarded.run("check-positions")

    [position], table = guarded.json("positions"), guarded.run("positions")
    steps = [(step["kind"], step["detail"]) for step in guarded.json("explain", "1")["steps"]]

    assert (position["resting_trigger"], position["unprotected"]) == ("50500.0", None)
    assert "50,500.0" in table.stdout
    assert ("resting stop moved", "the resting stop moved from 48,500.0 to 50,500.0") in steps
    assert ("rests", "the stop rests at Kraken: it sells once the price is at 50,500.0") in steps


@parametrize(
    ("change", "lack"),
    [("\"order\" SET amount = '0.001'", "too small"), ('"order" SET "trigger" = \'47000\'', "too low")],
    quick=2,
)
def test_one_that_is_too_small_or_too_low_by_the_journal_protects_not_enough(
    guarded: BotRunner, change: str, lack: str
) -> None:
    guarded.execute(f"UPDATE {change} WHERE state = 'RESTING'")

    assert guarded.json("positions")[0]["unprotected"] == lack
    assert guarded.json("status")["unprotected"] == [f"BTC/USD (trade 1, {lack})"]


def test_a_move_whose_answer_is_lost_is_looked_up(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 52000)
    kraken.fault("AmendOrder", "drop_after", times=10)

    run = guarded.run("check-positions")

    assert (run.exit_code, waiting(kraken).trigger) == (0, Decimal(50500)), run.stderr
    assert guarded.json("resting-stops")[0]["trigger"] == "50500.0"


def test_a_move_that_never_arrives_is_said_and_the_lower_one_stays(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 52000)
    kraken.fault("AmendOrder", "drop_before", times=10)

    run = guarded.run("check-positions")

    assert run.exit_code == 1
    assert "may be too low, it could not be moved" in run.stderr
    assert waiting(kraken).trigger == Decimal(48500)


@parametrize("text", ["EOrder:Order cannot be amended", "EGeneral:Invalid arguments:trigger_price"], quick=1)
def test_a_move_that_is_refused_is_made_by_a_new_one(guarded: BotRunner, kraken: FakeKraken, text: str) -> None:
    kraken.set_price("BTC/USD", 52000)
    kraken.fault("AmendOrder", "error", error=text)

    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert waiting(kraken).trigger == Decimal(50500)
    asked = requested_endpoints(kraken)
    assert asked.index("CancelOrder") < asked.index("AddOrder")
    assert [order["state"] for order in guarded.orders()] == ["FILLED", "CANCELED", "RESTING"]


def test_one_that_fires_before_it_is_moved_is_the_exit(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 52000)

    def crash(request: Request) -> None:
        if request.endpoint == "AmendOrder":
            kraken.set_price("BTC/USD", 48000)

    kraken.before = crash
    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    trade = trade_of(guarded)
    assert (trade["status"], Decimal(trade["exit_price"])) == ("CLOSED", 48000)
    assert kraken.account.balances["XXBT"] == AMOUNT


@parametrize("error", ["EOrder:Unknown order", "EGeneral:Unknown method"], quick=1)
def test_stops_that_can_not_be_canceled_together_are_canceled_one_by_one(
    guarded: BotRunner, kraken: FakeKraken, error: str
) -> None:
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    buy(guarded, "ETH/USD")
    kraken.fault("CancelOrderBatch", "error", error=error, times=10)

    run = guarded.run("liquidate", "--yes")

    assert run.exit_code == 0, run.stderr
    assert requested_endpoints(kraken).count("CancelOrder") == 2
    assert not [order for order in kraken.orders if order.is_open]
    assert {trade["status"] for trade in guarded.trades()} == {"CLOSED"}


def test_one_that_the_owner_moved_up_is_left_there_and_said_once(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    kraken.account.amend(stop, Decimal(49500), AMOUNT)

    first, second = guarded.run("check-positions"), guarded.run("check-positions")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "rests at 49500, above 48500" in first.stderr
    assert "rests at" not in second.stderr
    assert waiting(kraken) is stop


@parametrize("command", ["tick", "check-positions"], quick=2)
def test_one_that_has_fired_and_hangs_is_canceled_and_the_rest_is_sold_at_once(
    guarded: BotRunner, kraken: FakeKraken, command: str
) -> None:
    """The list of open orders shows that it has fired: the price may have come back since. No stop guards the rest."""
    waiting(kraken).mode = Never(Decimal("0.25"))
    kraken.set_price("BTC/USD", 48000)
    kraken.set_price("BTC/USD", 51000)

    run = guarded.run(command)

    assert run.exit_code == 0, run.stderr
    assert requested_endpoints(kraken).count("CancelOrder") == 1
    sold = [order.vol_exec for order in kraken.orders if order.side == "sell"]
    assert (sold, trade_of(guarded)["status"]) == ([Decimal("0.0005"), Decimal("0.0015")], "CLOSED")
    assert kraken.account.balances["XXBT"] == AMOUNT


def test_a_sell_that_was_refused_is_not_sent_again_because_another_stop_has_ended(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    """The stop that ended has the run look for exits that have begun since: this one has been tried."""
    buy(guarded, "ETH/USD")
    kraken.account.cancel_order(only([each for each in kraken.orders if each.is_waiting and each.symbol == "ETH/USD"]))
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "error", times=9, error="EGeneral:Permission denied")
    kraken.clear_requests()

    run = guarded.run("tick")

    sells = [each.params for each in kraken.requests if each.endpoint == "AddOrder"]
    assert "ETH/USD) was canceled outside botctl" in run.stderr
    assert [each["ordertype"] for each in sells if "XBT" in each["pair"]] == ["market"]


@pytest.mark.parametrize("command", ["check-positions", "sell BTC/USD 0.0005 --yes"])
def test_no_stop_is_placed_beside_a_sell_of_unknown_outcome(
    guarded: BotRunner, kraken: FakeKraken, command: str
) -> None:
    """The owner's coins would be there for both."""
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "drop_after")
    for endpoint in ("OpenOrders", "ClosedOrders"):
        kraken.fault(endpoint, "error", times=99, error="EGeneral:Permission denied")

    run = guarded.run(*command.split())

    assert run.exit_code != 0
    assert requested_endpoints(kraken).count("AddOrder") == 1
    assert "gets no stop" not in run.stderr


def test_a_buy_places_its_own_stop_alone(live: BotRunner, kraken: FakeKraken) -> None:
    """The price of the other trade is below its trigger: a stop there would sell at once."""
    buy(live)
    kraken.set_price("BTC/USD", 48400)
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.set(EXCHANGE_STOP="on")

    live.run("buy", "ETH/USD", "100", "--yes")

    assert waiting(kraken).symbol == "ETH/USD"
    assert [order.side for order in kraken.orders if order.vol_exec] == ["buy", "buy"]


def test_one_of_another_database_is_left_alone(guarded: BotRunner, kraken: FakeKraken) -> None:
    own = waiting(kraken)
    client_id = parse_client_id(own.cl_ord_id)
    assert client_id is not None
    other = replace(own, txid=new_id("O"), cl_ord_id=str(replace(client_id, database="0123")))
    kraken.orders.append(other)

    run = guarded.run("tick")

    assert run.exit_code == 0, run.stderr
    assert (own.is_waiting, other.is_waiting) == (True, True)


def test_one_that_no_record_shows_for_once_is_not_given_up(guarded: BotRunner, kraken: FakeKraken) -> None:
    hidden = {"OpenOrders": b'{"open":{}}', "QueryOrders": b"{}"}

    def hide(request: Request, reply: Reply) -> Reply:
        result = hidden.get(request.endpoint)
        return reply if result is None else replace(reply, body=b'{"error":[],"result":%s}' % result)

    stop = waiting(kraken)
    kraken.alter_reply = hide
    assert "the list of open orders lacks it" in guarded.run("check-positions").stderr
    kraken.alter_reply = None

    assert guarded.run("check-positions").exit_code == 0
    assert waiting(kraken) is stop


def test_an_exit_waits_no_minute_for_a_stop_that_never_arrived(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    kraken.fault("AddOrder", "drop_before", skip=1)
    live.run("buy", "BTC/USD", "100", "--yes")
    assert [order["state"] for order in live.orders()] == ["FILLED", "UNKNOWN"]

    with later(seconds=30):
        kraken.set_price("BTC/USD", 48900)
        run = live.run("check-positions")

    assert trade_of(live)["status"] == "CLOSED", run.stderr


def test_one_that_can_not_be_canceled_gets_none_beside_it(guarded: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.amend(waiting(kraken), Decimal(48500), AMOUNT / 2)
    kraken.fault("CancelOrder", "error", error="EGeneral:Permission denied", times=10)

    run = guarded.run("check-positions")

    assert "has no resting stop: Kraken" in run.stderr
    assert "AddOrder" not in requested_endpoints(kraken)


def test_one_that_is_canceled_before_it_is_moved_is_placed_anew(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    kraken.set_price("BTC/USD", 52000)
    kraken.before = lambda request: kraken.account.cancel_order(stop) if request.endpoint == "AmendOrder" else None

    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert waiting(kraken).trigger == Decimal(50500)


@parametrize("volume", ["0.001", "0.004"], quick=2)
def test_one_of_another_amount_is_replaced(guarded: BotRunner, kraken: FakeKraken, volume: str) -> None:
    kraken.account.amend(waiting(kraken), Decimal(48500), Decimal(volume))

    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert (waiting(kraken).volume, waiting(kraken).trigger) == (AMOUNT, Decimal(48500))


def test_a_smaller_one_of_the_owner_that_fired_is_booked_and_the_rest_is_sold(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.amend(waiting(kraken), Decimal(48500), Decimal("0.0015"))
    kraken.set_price("BTC/USD", 48000)

    runs = [guarded.run("tick"), guarded.run("tick")]

    assert runs[-1].exit_code == 0, runs[-1].stderr
    assert trade_of(guarded)["status"] == "CLOSED"
    assert [order.vol_exec for order in kraken.orders if order.side == "sell"] == [Decimal("0.0015"), Decimal("0.0005")]
    assert kraken.account.balances["XXBT"] == AMOUNT


@parametrize("moved", ["sell", "buy", "deposit"], quick=2)
def test_a_smaller_one_that_fired_while_the_owner_moved_other_coins_is_settled_by_a_second_run(
    guarded: BotRunner, kraken: FakeKraken, moved: str
) -> None:
    """Its record and its fills agree, the balance can't. The rest may be what the owner sold: it waits longer."""
    kraken.account.amend(waiting(kraken), Decimal(48500), Decimal("0.0015"))
    kraken.set_price("BTC/USD", 48000)
    if moved == "deposit":
        kraken.account.balances["XXBT"] += Decimal("0.001")
    else:
        kraken.trade_by_hand(moved, "BTC/USD", Decimal("0.001"))

    first = guarded.run("tick")
    with later(minutes=7):
        early = guarded.run("tick")
    states = [order["state"] for order in guarded.orders()]
    with later(minutes=15):
        second = guarded.run("tick")

    assert "but the balance differs, as when you have moved other coins: it is believed after" in first.stderr
    assert (first.exit_code, early.exit_code, states) == (69, 69, ["FILLED", "ACCEPTED"])
    assert "at two runs: that is believed" in second.stderr
    sold = [Decimal(order["filled"]) for order in guarded.orders()[1:]]
    assert sold == [Decimal("0.0015"), *([Decimal("0.0005")] if moved != "sell" else [])]
    for hours in (3, 4):  # the first one asks for the stop for the last time
        with later(hours=hours):
            kraken.set_price("BTC/USD", 48000)
            last = guarded.run("tick")
    assert last.exit_code == 0, last.stderr
    assert trade_of(guarded)["status"] == "CLOSED"
    own = {"buy": Decimal("0.003"), "sell": Decimal("0.001"), "deposit": Decimal("0.003")}
    assert kraken.account.balances["XXBT"] == own[moved]


def test_a_larger_one_that_fired_while_the_owner_bought_is_settled_by_a_second_run(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.amend(waiting(kraken), Decimal(48500), Decimal("0.004"))
    kraken.set_price("BTC/USD", 48000)
    kraken.trade_by_hand("buy", "BTC/USD", Decimal("0.003"))

    first = guarded.run("tick")
    with later(minutes=15):
        second = guarded.run("tick")

    assert first.exit_code == 69
    assert "0.002 more than the trade held" in second.stderr
    assert trade_of(guarded)["status"] == "CLOSED"
    assert kraken.account.balances["XXBT"] == Decimal("0.003")


@pytest.mark.parametrize(("mode", "more"), [(Instant(), "0.002"), (PartialThenCanceled(Decimal("0.75")), "0.001")])
def test_a_larger_one_of_the_owner_that_fired_closes_the_trade_and_is_told(
    guarded: BotRunner, kraken: FakeKraken, mode: FillMode, more: str
) -> None:
    stop = waiting(kraken)
    stop.mode = mode
    kraken.account.amend(stop, Decimal(48500), Decimal("0.004"))
    kraken.set_price("BTC/USD", 48000)

    run = guarded.run("tick")

    assert f"{more} more than the trade held" in run.stderr
    trade = trade_of(guarded)
    assert (trade["status"], Decimal(trade["exit_price"])) == ("CLOSED", 48000)
    assert guarded.run("tick").exit_code == 0
    assert len(kraken.orders) == 2


def test_the_record_alone_of_a_smaller_one_that_fired_is_not_believed(guarded: BotRunner, kraken: FakeKraken) -> None:
    """Its fills are in no list, also at a second run."""
    hidden = {"QueryTrades": b"{}", "TradesHistory": b'{"trades":{},"count":0}'}

    def hide(request: Request, reply: Reply) -> Reply:
        result = hidden.get(request.endpoint)
        return reply if result is None else replace(reply, body=b'{"error":[],"result":%s}' % result)

    kraken.account.amend(waiting(kraken), Decimal(48500), Decimal("0.0015"))
    kraken.set_price("BTC/USD", 48000)
    kraken.alter_reply = hide

    for minutes in (0, 15):
        with later(minutes=minutes):
            assert guarded.run("tick").exit_code == 69
    assert [order.side for order in kraken.orders] == ["buy", "sell"]


def test_a_record_and_its_trade_that_are_wrong_by_a_factor_sell_no_coins_of_the_owner(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    """Nor when they are wrong at two runs, by another factor each time."""
    kraken.set_price("BTC/USD", 48000)

    def divide(request: Request, reply: Reply, by: Decimal) -> Reply:
        answer = json.loads(reply.body)
        if request.endpoint in ("QueryOrders", "QueryTrades"):
            for record in answer["result"].values():
                for name in record.keys() & {"vol", "vol_exec", "cost", "fee"}:
                    record[name] = f"{Decimal(record[name]) / by}"
        return replace(reply, body=json.dumps(answer).encode())

    for factor, minutes in (("0.5", 0), ("2", 15)):
        kraken.alter_reply = partial(divide, by=Decimal(factor))
        with later(minutes=minutes):
            assert guarded.run("tick").exit_code == 69
    assert len(kraken.orders) == 2
    kraken.alter_reply = None
    assert guarded.run("tick").exit_code == 0
    assert trade_of(guarded)["status"] == "CLOSED"
    assert (len(kraken.orders), kraken.account.balances["XXBT"]) == (2, AMOUNT)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("ordertype", "limit", "a sell of BTC/USD"), ("type", "buy", "a buy of BTC/USD"), ("pair", "ETHUSD", "a sell of")],
)
def test_an_order_that_is_shown_as_no_stop_of_the_trade_protects_nobody_silently(
    guarded: BotRunner, kraken: FakeKraken, name: str, value: str, shown: str
) -> None:
    def as_another(listed: dict[str, Any]) -> None:
        for order in listed.values():
            order["descr"][name] = value

    change_open_orders(kraken, as_another)

    run = guarded.run("check-positions")

    assert run.exit_code == 1
    assert f"has no resting stop: the exchange shows it as {shown}" in run.stderr
    assert len(kraken.orders) == 2


def test_an_order_of_the_owner_that_can_not_be_read_hides_no_stop(guarded: BotRunner, kraken: FakeKraken) -> None:
    change_open_orders(kraken, lambda listed: listed.update({"OSTRNG-AAAAA-BBBBBB": {"status": "paused"}}))

    run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr


def test_one_whose_trade_ended_otherwise_is_canceled(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    guarded.execute("UPDATE trade SET status = 'CLOSED'")

    run = guarded.run("tick")

    assert run.exit_code == 0, run.stderr
    assert stop.status == "canceled"
    assert guarded.json("resting-stops") == []


@pytest.mark.parametrize("command", ["tick", "sell"])
def test_one_that_kraken_has_forgotten_is_canceled_and_in_nobodys_way(
    guarded: BotRunner, kraken: FakeKraken, command: str
) -> None:
    stop = waiting(kraken)
    kraken.account.cancel_order(stop)
    kraken.orders.remove(stop)

    with later(hours=3):
        kraken.set_price("BTC/USD", 50001)
        run = guarded.run(*(["tick"] if command == "tick" else ["sell", "BTC/USD", "--yes"]))

    assert run.exit_code == 0, run.stderr
    assert trade_of(guarded)["status"] == ("OPEN" if command == "tick" else "CLOSED")
    assert len([order for order in kraken.orders if order.is_waiting]) == (command == "tick")
    assert ("was canceled outside botctl" in run.stderr) == (command == "tick")


def test_one_that_no_record_shows_an_hour_after_it_was_placed_may_be_there(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    kraken.orders.remove(waiting(kraken))

    with later(hours=1):
        run = guarded.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 69
    assert [order.side for order in kraken.orders] == ["buy"]


def test_one_that_kraken_has_forgotten_while_its_coins_are_gone_sells_nothing(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    kraken.orders.remove(waiting(kraken))
    kraken.account.balances["XXBT"] = AMOUNT

    with later(hours=3):
        run = guarded.run("sell", "BTC/USD", "--yes")

    assert run.exit_code != 0
    assert [order.side for order in kraken.orders] == ["buy"]


def test_a_minimum_that_rose_leaves_the_one_that_rests(guarded: BotRunner, kraken: FakeKraken) -> None:
    stop = waiting(kraken)
    kraken.markets["BTC/USD"].ordermin = Decimal("0.01")

    with later(days=1, hours=1):
        kraken.set_price("BTC/USD", 50001)
        run = guarded.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert waiting(kraken) is stop


def test_the_rest_of_a_part_sell_below_the_minimum_is_said_to_be_unprotected(
    guarded: BotRunner, kraken: FakeKraken
) -> None:
    run = guarded.run("sell", "BTC/USD", "0.00198", "--yes")

    assert run.exit_code == 1
    assert "has no resting stop: 0.00002 BTC is below the order minimum" in run.stderr
    assert not [order for order in kraken.orders if order.is_waiting]
    assert trade_of(guarded)["status"] == "OPEN"


@pytest.mark.parametrize("error", ["EGeneral:Invalid arguments:volume minimum not met", "EOrder:Insufficient funds"])
def test_coins_that_arrive_late_get_their_stop_in_the_same_run(live: BotRunner, kraken: FakeKraken, error: str) -> None:
    live.set(EXCHANGE_STOP="on")
    kraken.fault("AddOrder", "error", skip=1, error=error)

    buy(live)

    assert waiting(kraken).volume == AMOUNT


def test_a_stop_whose_deadline_kraken_refuses_is_sent_once_more(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    kraken.fault("AddOrder", "error", skip=1, error="EGeneral:Invalid arguments:deadline")

    buy(live)

    assert waiting(kraken).volume == AMOUNT


def test_a_breakeven_that_pays_the_fees_is_called_so_by_its_resting_stop(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on", BREAKEVEN_FEES="yes", FEE_RATE="0.008", ATR_MULTIPLIER="2")
    buy(live)
    kraken.set_price("BTC/USD", 51100)  # two ATR above the entry: the stop is where a sale pays for both fees
    guarded = live.run("check-positions")
    assert guarded.exit_code == 0, guarded.stderr
    stop = float(trade_of(live)["stop_loss_price"])
    assert stop > 50500

    kraken.set_price("BTC/USD", 49000)
    kraken.set_price("BTC/USD", 51100)
    live.run("tick")

    assert trade_of(live)["exit_reason"] == "BREAKEVEN"
