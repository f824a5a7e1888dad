"""Order records that lie, orders that hang, and answers that leave open whether an order was placed."""

from decimal import Decimal

import pytest

from botctl.store.database import close_database
from botctl.store.models import Order
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Instant, Lie, Never, PartialThenCanceled, Pieces, Request
from tests.fake_kraken.lies import EmptyList, SmallerOrders
from tests.quick import parametrize
from tests.scenarios.journal_tools import (
    client_ids,
    lose_the_next_order,
    only,
    open_position,
    private_calls,
    run_until,
    sent,
)

ELAPSED = "EService:Deadline elapsed"
HALF = Decimal("0.5")
OWNERS = Decimal("0.1")
"""Coins of the owner beside botctl's position."""

# The second look at a fill in part comes after two and a half seconds. Each of them costs Kraken's counter so much that
# a third one may have to wait for longer than a run has.
LIES = [
    Lie("closed", seconds=3),
    Lie("closed", seconds=3, hides_trades=True),
    Lie("closed", seconds=2, filled=HALF),
    Lie("closed", seconds=2, filled=HALF, hides_trades=True),
    Lie("canceled", seconds=3),
    Lie("canceled", seconds=3, hides_trades=True),
    Lie("canceled", seconds=2, filled=HALF),
    Lie("canceled", seconds=2, filled=HALF, hides_trades=True),
    Lie("expired", seconds=3, hides_trades=True),
]


@pytest.fixture
def owners_coins(kraken: FakeKraken) -> Decimal:
    kraken.balances["XXBT"] = OWNERS
    return OWNERS


# Deadline elapsed: the order may have been placed all the same


def test_a_buy_that_was_placed_though_its_deadline_elapsed_is_found_and_bought_once(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.fault("AddOrder", "error", error=ELAPSED, processed=True)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert len(sent(kraken)) == len(kraken.orders) == 1
    assert Decimal(only(live.positions())["stop_loss_price"]) == 49000


@parametrize("command", [("tick",), ("sell", "BTC/USD", "--yes")], quick=1)
def test_a_sell_that_was_placed_though_its_deadline_elapsed_is_sold_once(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal, command: tuple[str, ...]
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "error", error=ELAPSED, processed=True)

    run = live.run(*command)

    assert run.exit_code == 0, run.stderr
    assert kraken.balances["XXBT"] == owners_coins
    assert only(live.trades())["status"] == "CLOSED"


def test_a_buy_whose_deadline_elapsed_is_sent_again_by_nobody(live: BotRunner, kraken: FakeKraken) -> None:
    lose_the_next_order(kraken, "error", error=ELAPSED)

    run = live.run("buy", "BTC/USD", "100", "--yes")
    unsure = only(live.orders())["state"]
    with later(minutes=16):
        live.run("tick")

    assert (run.exit_code, unsure, only(live.orders())["state"]) == (69, "UNKNOWN", "ABSENT")
    assert only(live.trades())["status"] == "FAILED"
    assert len(sent(kraken)) == 1


@parametrize(("command", "price"), [(("tick",), 48900), (("sell", "BTC/USD", "--yes"), 50000)], quick=1)
def test_a_sell_whose_deadline_elapsed_is_sent_again_only_once_it_is_proved_absent(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...], price: int
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", price)
    lose_the_next_order(kraken, "error", error=ELAPSED)

    unsure = live.run(*command)
    with later(minutes=16):
        done = live.run("tick")

    assert (unsure.exit_code, done.exit_code) == (69, 0), done.stderr
    assert [order["state"] for order in live.orders()] == ["FILLED", "ABSENT", "FILLED"]
    assert len(client_ids(sent(kraken, "sell"))) == len(sent(kraken, "sell")) == 2
    assert only(live.trades())["status"] == "CLOSED"


# Lists that lack an order


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_one_list_that_lacks_a_buy_leaves_no_coin_without_a_stop(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    live.run("tick")
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")
    kraken.lies.tell(EmptyList("ClosedOrders"), answers=1)

    with later(minutes=16):
        run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert Decimal(only(live.positions())["stop_loss_price"]) == 49000


@pytest.mark.usefixtures("bent_time")
def test_one_list_that_lacks_a_sell_sells_nothing_of_the_owners(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    run_until(live, kraken, "AddOrder", "after", "tick")
    kraken.lies.tell(EmptyList("ClosedOrders"), answers=1)

    with later(minutes=16):
        live.run("tick")

    assert kraken.balances["XXBT"] == owners_coins
    assert [order["state"] for order in live.orders()] == ["FILLED", "FILLED"]


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_lists_that_lack_a_buy_whose_coins_are_there_are_not_believed(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    live.run("tick")
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")
    kraken.lies.tell(EmptyList("ClosedOrders"), seconds=18 * 60)

    with later(minutes=16):
        unsure = live.run("tick")
    with later(minutes=31):
        run = live.run("tick")

    assert (unsure.exit_code, run.exit_code) == (69, 0), (unsure.stderr, run.stderr)
    assert Decimal(only(live.positions())["stop_loss_price"]) == 49000


# Records that lie


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_record_that_shows_another_volume_than_was_sent_is_no_ending(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal, side: str
) -> None:
    live.run("tick")
    if side == "sell":
        open_position(live)
    for lie in (SmallerOrders(HALF), EmptyList("TradesHistory")):
        kraken.lies.tell(lie, seconds=18 * 60)

    live.run(*({"buy": ("buy", "BTC/USD", "100"), "sell": ("sell", "BTC/USD")}[side]), "--yes")
    with later(minutes=16):
        unsure = live.run("check-positions")
    with later(minutes=31):
        run = live.run("check-positions")

    assert (unsure.exit_code, run.exit_code) == (69, 0), (unsure.stderr, run.stderr)
    held = sum((Decimal(each["amount"]) for each in live.positions()), Decimal(0))
    assert held == kraken.balances["XXBT"] - owners_coins
    assert {order["state"] for order in live.orders()} == {"FILLED"}


@pytest.mark.usefixtures("bent_time")
@parametrize("lie", LIES, quick=2, ids=str)
def test_a_record_that_lies_for_some_seconds_leaves_no_bought_coin_without_a_stop(
    live: BotRunner, kraken: FakeKraken, lie: Lie
) -> None:
    kraken.account.lie = lie

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    trade = only(live.positions())
    assert Decimal(trade["amount"]) == kraken.orders[0].vol_exec
    assert Decimal(trade["entry_cost"]) == kraken.orders[0].cost
    assert Decimal(trade["stop_loss_price"]) == 49000


@pytest.mark.usefixtures("bent_time")
@parametrize("lie", LIES, quick=1, ids=str)
def test_a_record_that_lies_for_some_seconds_sells_nothing_twice(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal, lie: Lie
) -> None:
    with later(minutes=-1):  # its calls have left Kraken's counter by now
        open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.lie = lie

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["status"] == "CLOSED"
    assert kraken.balances["XXBT"] == owners_coins
    assert len(sent(kraken, "sell")) == 1


@parametrize("filled", [HALF, Decimal(0)], quick=1)
def test_a_closed_order_that_filled_less_than_its_volume_is_no_ending_and_is_said(
    live: BotRunner, kraken: FakeKraken, filled: Decimal
) -> None:
    kraken.account.lie = Lie("closed", seconds=60, filled=filled, hides_trades=True)
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")

    unsure = live.run("tick")
    with later(minutes=2):
        sure = live.run("tick")

    assert (unsure.exit_code, sure.exit_code) == (69, 0), sure.stderr
    assert f"shows {filled * Decimal('0.002'):.3f}".rstrip("0").rstrip(".") in unsure.stderr
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.002")
    assert kraken.count("CancelOrder") == 0


def test_a_canceled_order_whose_fills_do_not_add_up_is_no_ending(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.lie = Lie("canceled", seconds=600, filled=HALF, hides_trades=True)
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")

    with later(minutes=5):
        unsure = live.run("tick")
    with later(minutes=11):
        sure = live.run("tick")

    assert (unsure.exit_code, sure.exit_code) == (69, 0), sure.stderr
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.002")


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_an_order_left_canceled_and_unfilled_is_believed_at_a_second_look(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")
    kraken.clear_requests()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["status"] == "FAILED"
    assert (kraken.count("QueryOrders"), kraken.count("TradesHistory")) == (2, 1)


# A second exit order


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_what_a_canceled_sell_fills_late_is_booked_and_not_sold_again(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(HALF)
    live.run("tick")
    first_sell, left = kraken.orders[1], kraken.balances["XXBT"] - owners_coins
    kraken.account.fill_order(first_sell, left)
    kraken.account.fill_mode = Instant()
    kraken.clear_requests()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    trade = only(live.trades())
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert kraken.balances["XXBT"] == owners_coins
    assert sent(kraken, "sell") == []
    bought, *sold = kraken.orders
    gain = sum((order.cost - order.fee for order in sold), -bought.cost - bought.fee)
    assert Decimal(trade["pnl"]) == gain


@pytest.mark.usefixtures("bent_time")
@parametrize("sold_meanwhile", [Decimal("0.002"), Decimal("0.0005")], quick=1)
def test_a_late_fill_of_more_than_a_trade_holds_takes_only_what_it_holds_and_is_said(
    live: BotRunner, kraken: FakeKraken, sold_meanwhile: Decimal
) -> None:
    """The exchange trades a sell that it has called canceled, when the trade has been sold in part, or as a whole."""
    kraken.balances["XXBT"] = Decimal("0.01")
    bought = open_position(live)
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))
    live.run("sell", "BTC/USD", "0.002", "--yes")
    kraken.account.fill_mode = Instant()
    live.run("sell", "BTC/USD", f"{sold_meanwhile}", "--yes")
    left = Decimal("0.002") - sold_meanwhile
    kraken.set_price("BTC/USD", 50500)
    kraken.account.fill_order(kraken.orders[1], Decimal("0.002"))

    with later(minutes=1):
        run, calm = live.run("tick"), live.run("tick")

    assert (run.exit_code, calm.exit_code) == (1, 0), run.stderr + calm.stderr
    assert f"{sold_meanwhile} more than the trade held" in " ".join(run.stderr.split())
    trade, (late, second) = only(live.trades()), kraken.orders[1:]
    assert (trade["status"], Decimal(trade["amount"])) == ("CLOSED", Decimal("0.002"))
    gain = sum((part * (order.cost - order.fee) for part, order in ((left / late.vol_exec, late), (1, second))))
    paid = Decimal(bought["entry_cost"]) + Decimal(bought["entry_fee"])
    assert abs(Decimal(trade["pnl"]) - (gain - paid)) <= Decimal("0.00001")
    assert [Decimal(order["filled"]) for order in live.orders()[1:]] == [late.vol_exec, second.vol_exec]


@pytest.mark.usefixtures("bent_time")
def test_an_exit_whose_earlier_sell_cannot_be_asked_for_is_left_to_the_next_run(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(HALF)
    live.run("tick")
    kraken.account.fill_mode = Instant()
    kraken.clear_requests()
    kraken.fault("QueryOrders", "error", times=4)

    unsure = live.run("check-positions")
    sells_then = len(sent(kraken, "sell"))
    sure = live.run("check-positions")

    assert (unsure.exit_code, sells_then) == (69, 0)
    assert sure.exit_code == 0, sure.stderr
    assert only(live.trades())["status"] == "CLOSED"


# Orders that hang


@parametrize("at_once", [HALF, Decimal(0)], quick=1)
def test_a_sell_open_past_its_deadline_is_canceled_and_its_rest_sold_in_the_same_tick(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal, at_once: Decimal
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = Never(at_once)
    run_until(live, kraken, "QueryOrders", "before", "tick")
    kraken.account.fill_mode = Instant()

    with later(minutes=1):
        run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    [cancel] = [request for request in kraken.requests if request.endpoint == "CancelOrder"]
    assert cancel.params["cl_ord_id"] == kraken.orders[1].cl_ord_id
    assert [order.status for order in kraken.orders] == ["closed", "canceled", "closed"]
    assert only(live.trades())["status"] == "CLOSED"
    assert kraken.balances["XXBT"] == owners_coins


def test_a_buy_open_past_its_deadline_is_canceled_and_guarded_with_what_it_bought(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Never(HALF)
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")

    with later(minutes=1):
        run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    trade = only(live.positions())
    assert (Decimal(trade["amount"]), Decimal(trade["stop_loss_price"])) == (Decimal("0.001"), 49000)
    assert kraken.orders[0].status == "canceled"


def test_an_order_open_before_its_deadline_is_not_canceled(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = Never()
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")

    assert live.run("tick").exit_code == 69
    assert kraken.count("CancelOrder") == 0


@pytest.fixture
def hanging_part_sell(live: BotRunner, kraken: FakeKraken, owners_coins: Decimal) -> None:
    """A quarter of the position is being sold by an order that stays open."""
    open_position(live)
    kraken.account.fill_mode = Never()
    run_until(live, kraken, "QueryOrders", "before", "sell", "BTC/USD", "0.0005", "--yes")
    kraken.account.fill_mode = Instant()


@pytest.mark.long
def test_while_a_part_sell_hangs_the_stop_of_the_rest_moves_up(
    live: BotRunner, kraken: FakeKraken, hanging_part_sell: None
) -> None:
    kraken.set_price("BTC/USD", 52000)

    run = live.run("tick")

    assert run.exit_code == 69
    assert Decimal(only(live.positions())["stop_loss_price"]) == 51000
    assert kraken.count("CancelOrder") == 0


@pytest.mark.usefixtures("bent_time")
@parametrize("command", [("tick",), ("liquidate", "--yes")], quick=1)
def test_while_a_part_sell_hangs_a_stop_that_is_hit_cancels_it_and_sells_everything(
    live: BotRunner,
    kraken: FakeKraken,
    owners_coins: Decimal,
    hanging_part_sell: None,
    command: tuple[str, ...],
) -> None:
    kraken.set_price("BTC/USD", 48900)

    live.run(*command)

    assert kraken.balances["XXBT"] == owners_coins
    assert only(live.trades())["status"] == "CLOSED"
    assert [order.status for order in kraken.orders] == ["closed", "canceled", "closed"]


# Figures from records alone


def hide_fills(kraken: FakeKraken, times: int) -> None:
    """So many answers to each list of trades are empty."""
    kraken.fault("QueryTrades", "empty_result", times=times)
    kraken.fault("TradesHistory", "shape", body={"error": [], "result": {"trades": {}, "count": 0}}, times=times)


def inexact(live: BotRunner) -> list[bool]:
    """The mark of each order in the database."""
    live.open_store()
    marks = [order.inexact for order in Order.select().order_by(Order.id)]
    close_database()
    return marks


@pytest.mark.usefixtures("bent_time")
def test_an_entry_booked_from_its_record_is_price_times_volume_until_its_fills_are_shown(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Pieces(4, step=Decimal("0.1"))
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")
    hide_fills(kraken, times=3)  # two look-ups of the settlement, and the tick's own correction

    with later(minutes=3):
        rough_run = live.run("tick")
        rough, rough_marks = only(live.positions()), inexact(live)
        exact_run = live.run("tick")
        exact, exact_marks = only(live.positions()), inexact(live)
        kraken.clear_requests()
        live.run("tick")

    assert (rough_run.exit_code, exact_run.exit_code) == (0, 0), rough_run.stderr + exact_run.stderr
    [order] = kraken.orders
    assert (rough_marks, exact_marks) == ([True], [False])
    assert Decimal(rough["entry_cost"]) == Decimal("50000.1") * order.vol_exec != order.cost
    assert (Decimal(exact["entry_cost"]), Decimal(exact["entry_fee"])) == (order.cost, order.fee)
    assert Decimal(exact["stop_loss_price"]) > Decimal(rough["stop_loss_price"])
    assert kraken.count("QueryOrders") == kraken.count("QueryTrades") == 0


# What is told, what is sent


def test_krakens_reason_for_a_cancel_is_stored_and_shown(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.account.fill_mode = PartialThenCanceled(HALF)

    run = live.run("sell", "BTC/USD", "0.001", "--yes")

    assert "Canceled by the engine" in run.stderr
    assert live.orders()[-1]["error"] == "Canceled by the engine"
    assert "Canceled by the engine" in live.run("orders").stdout


def test_every_sell_outranks_an_own_resting_order_and_no_buy_does(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    live.run("sell", "BTC/USD", "--yes")

    def prevention(request: Request) -> str | None:
        return request.params.get("stptype")

    assert [prevention(request) for request in sent(kraken)] == [None, "cancel-oldest"]
    assert "CancelOrder" not in private_calls(kraken)


@pytest.mark.usefixtures("bent_time")
def test_a_buy_whose_coins_are_there_is_not_believed_to_be_unfilled(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    """The record and the list of trades agree on nothing for longer than the second look waits."""
    kraken.account.lie = Lie("canceled", seconds=40, hides_trades=True)

    bought = live.run("buy", "BTC/USD", "100", "--yes")
    with later(minutes=1):
        tick = live.run("tick")

    assert (bought.exit_code, tick.exit_code) == (69, 0), bought.stderr + tick.stderr
    assert kraken.balances["XXBT"] == owners_coins + Decimal("0.002")
    assert Decimal(only(live.positions())["stop_loss_price"]) == 49000


@pytest.mark.usefixtures("bent_time")
def test_a_buy_that_was_canceled_unfilled_ends_though_the_owner_has_coins(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert (run.exit_code, only(live.trades())["status"]) == (4, "FAILED"), run.stderr


@pytest.mark.usefixtures("bent_time")
def test_a_sell_whose_coins_are_gone_is_not_believed_to_be_unfilled(
    live: BotRunner, kraken: FakeKraken, owners_coins: Decimal
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.lie = Lie("canceled", seconds=200, hides_trades=True)

    first = live.run("tick")
    with later(minutes=1):
        second = live.run("tick")
    with later(minutes=4):
        third = live.run("tick")

    assert (first.exit_code, second.exit_code, third.exit_code) == (69, 69, 0), first.stderr + second.stderr
    assert kraken.balances["XXBT"] == owners_coins
    assert len(sent(kraken, "sell")) == 1
    assert only(live.trades())["status"] == "CLOSED"
