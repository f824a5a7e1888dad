"""What a run does first: sells leave before anything that can wait, an order that hangs is dealt with at once, and a
canceled buy is asked for once more."""

from decimal import Decimal

import pytest

from botctl.store.database import close_database
from botctl.store.models import Trade
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Instant, Lie, Never, PartialThenCanceled, Request
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.journal_tools import only, open_position, place_by_hand, run_until, sent
from tests.scenarios.steps import buy, prove_initial_balance, requested_endpoints, trade_of

HALF = Decimal("0.5")


def exiting(live: BotRunner) -> str | None:
    """The reason for which the only trade is being sold."""
    live.open_store()
    reason = Trade.get().exiting
    close_database()
    return reason


def fill_at_once_after_a_cancel(kraken: FakeKraken) -> None:
    def watch(request: Request) -> None:
        if request.endpoint == "CancelOrder":
            kraken.account.fill_mode = Instant()

    kraken.after = watch


# Sells before moved stops


@pytest.fixture
def one_falls_one_rises(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live, "ETH/USD")
    buy(live, "BTC/USD")
    kraken.set_price("BTC/USD", 48900)
    kraken.set_price("ETH/USD", kraken.markets["ETH/USD"].last * Decimal("1.1"))


def test_a_sell_leaves_before_the_moved_stops_of_other_trades_are_saved(
    live: BotRunner, kraken: FakeKraken, one_falls_one_rises: None
) -> None:
    before = trade_of(live, "ETH/USD")

    run_until(live, kraken, "AddOrder", "lost", "check-positions")
    between = trade_of(live, "ETH/USD")
    with later(minutes=3):
        run = live.run("check-positions")

    assert between["high_price"] == before["high_price"]
    assert run.exit_code == 0, run.stderr
    assert float(trade_of(live, "ETH/USD")["high_price"]) > float(before["high_price"])
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_the_verdict_of_a_stop_is_saved_before_its_sell_leaves(
    live: BotRunner, kraken: FakeKraken, one_falls_one_rises: None
) -> None:
    run_until(live, kraken, "AddOrder", "lost", "check-positions")
    kraken.set_price("BTC/USD", 50000)

    with later(minutes=3):
        live.run("check-positions")

    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


# Stops before the look-ups of lost orders


@pytest.mark.usefixtures("bent_time")
@parametrize(
    "command",
    [("tick",), ("liquidate", "--yes"), ("check-positions",), ("sell", "BTC/USD", "--yes"), ("drawdown",)],
    quick=1,
)
def test_a_trade_is_sold_before_the_lost_order_of_another_is_looked_up(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    if command == ("drawdown",):
        live.set(INITIAL_BALANCE="1000000")
        prove_initial_balance(live, "1000000")
    open_position(live)
    run_until(live, kraken, "AddOrder", "lost", "buy", "ETH/USD", "100", "--yes")
    kraken.set_price("BTC/USD", 48900)
    kraken.clear_requests()

    live.run(*command)

    asked = requested_endpoints(kraken)
    assert asked.index("AddOrder") < asked.index("OpenOrders")
    assert trade_of(live)["status"] == "CLOSED"


@parametrize("command", ["tick", "check-positions"], quick=1)
def test_the_stop_of_a_trade_whose_buy_is_settled_is_judged_in_the_same_run(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")
    kraken.set_price("BTC/USD", 48900)

    run = live.run(command)

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


def test_an_order_that_stays_lost_is_reported_once_and_holds_nothing_up(live: BotRunner, kraken: FakeKraken) -> None:
    run_until(live, kraken, "AddOrder", "lost", "buy", "BTC/USD", "100", "--yes")

    run = live.run("check-positions", "--json")

    assert run.exit_code == 69
    assert len(run.json()["errors"]) == 1


@parametrize("command", ["tick", "check-positions"], quick=1)
def test_a_clock_that_was_set_back_hides_no_order_of_an_earlier_run(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")

    with later(minutes=-2):  # our clock alone
        kraken.clock.offset += 120
        run = live.run(command)

    assert only(live.positions())["stop_loss_price"] == "49000.0", run.stderr


# A part-sell that hangs


def test_a_lost_part_sell_that_hangs_is_canceled_for_a_stop_and_everything_sold(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    kraken.account.fill_mode = Never()
    run_until(live, kraken, "AddOrder", "after", "sell", "BTC/USD", "0.0005", "--yes")
    kraken.account.fill_mode = Instant()
    kraken.set_price("BTC/USD", 48900)

    with later(minutes=1):
        run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert [order.status for order in kraken.orders] == ["closed", "canceled", "closed"]
    assert (only(live.trades())["status"], kraken.balances["XXBT"]) == ("CLOSED", 0)


@pytest.mark.long
def test_a_stop_behind_a_lost_part_sell_is_said_and_goes_on_once_that_is_proved_absent(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    run_until(live, kraken, "AddOrder", "lost", "sell", "BTC/USD", "0.0005", "--yes")
    kraken.set_price("BTC/USD", 48900)

    with later(seconds=5):
        unsure, marked = live.run("tick"), exiting(live)
    kraken.set_price("BTC/USD", 50000)
    with later(minutes=5):
        sure = live.run("tick")

    assert (unsure.exit_code, marked) == (69, "STOP_LOSS")
    assert "the exit of trade 1 (BTC/USD, STOP_LOSS) waits for its earlier sell" in unsure.stderr
    assert sure.exit_code == 0, sure.stderr
    assert (only(live.trades())["status"], kraken.balances["XXBT"]) == ("CLOSED", 0)


# Orders that are still open when a run has waited long enough


@pytest.mark.usefixtures("bent_time")
@parametrize_pairs(("at_once", "command"), [Decimal(0), HALF], [("tick",), ("sell", "BTC/USD", "--yes")])
def test_a_sell_still_open_after_the_wait_is_canceled_and_its_rest_sold_in_the_same_run(
    live: BotRunner, kraken: FakeKraken, at_once: Decimal, command: tuple[str, ...]
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = Never(at_once)
    fill_at_once_after_a_cancel(kraken)

    run = live.run(*command)

    assert run.exit_code == 0, run.stderr
    assert [order.status for order in kraken.orders] == ["closed", "canceled", "closed"]
    assert (only(live.trades())["status"], kraken.balances["XXBT"]) == ("CLOSED", 0)


@pytest.mark.usefixtures("bent_time")
def test_a_buy_still_open_after_the_wait_is_canceled_and_guarded_with_what_it_bought(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Never(HALF)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert Decimal(only(live.positions())["amount"]) == HALF * kraken.orders[0].volume
    assert kraken.orders[0].status == "canceled"


@pytest.mark.usefixtures("bent_time")
def test_a_sell_whose_every_order_hangs_ends_the_run_with_an_error(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = Never()

    run = live.run("tick")

    assert run.exit_code == 1
    assert "the next check sells the rest" in run.stderr
    assert [order.status for order in kraken.orders] == ["closed", "canceled", "canceled", "canceled"]
    assert len(sent(kraken, "sell")) == 3


# Late fills of canceled buys


def buy_and_be_canceled(live: BotRunner, kraken: FakeKraken, filled: Decimal) -> None:
    kraken.account.fill_mode = PartialThenCanceled(filled)
    live.run("buy", "BTC/USD", "100", "--yes")
    kraken.account.fill_mode = Instant()


@pytest.mark.usefixtures("bent_time")
@parametrize("filled", [Decimal(0), HALF], quick=1)
def test_what_a_canceled_buy_fills_late_is_guarded_from_the_next_tick_on(
    live: BotRunner, kraken: FakeKraken, filled: Decimal
) -> None:
    buy_and_be_canceled(live, kraken, filled)
    [order] = kraken.orders
    kraken.set_price("BTC/USD", 50100)
    kraken.account.fill_order(order, order.remaining)

    with later(minutes=15):
        run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert "was filled late" in run.stderr
    trade = only(live.positions())
    assert (Decimal(trade["amount"]), Decimal(trade["entry_cost"])) == (order.vol_exec, order.cost)
    assert Decimal(trade["stop_loss_price"]) == order.cost / order.vol_exec - 1000


def test_a_canceled_buy_is_asked_for_at_each_tick_of_two_hours_and_not_again(
    live: BotRunner, kraken: FakeKraken
) -> None:
    """A record may lie for an hour."""
    buy_and_be_canceled(live, kraken, HALF)
    asked = []
    for minutes in (15, 119, 121, 122):
        kraken.clear_requests()
        with later(minutes=minutes):
            live.run("tick")
        asked.append(kraken.count("QueryOrders"))

    assert asked == [1, 1, 1, 0]


@pytest.mark.usefixtures("bent_time")
def test_a_canceled_buy_that_is_not_answered_for_is_asked_for_again(live: BotRunner, kraken: FakeKraken) -> None:
    buy_and_be_canceled(live, kraken, Decimal(0))
    kraken.account.fill_order(kraken.orders[0], kraken.orders[0].remaining)
    kraken.fault("QueryOrders", "empty_result")

    with later(minutes=15):
        live.run("tick")
        nothing_yet = live.positions()
        live.run("tick")

    assert nothing_yet == []
    assert only(live.positions())["status"] == "OPEN"


@pytest.mark.long
def test_a_late_fill_of_a_trade_that_has_closed_is_sold_with_its_figures(live: BotRunner, kraken: FakeKraken) -> None:
    buy_and_be_canceled(live, kraken, HALF)
    live.run("sell", "BTC/USD", "--yes")
    kraken.account.fill_order(kraken.orders[0], kraken.orders[0].remaining)

    with later(minutes=15):
        live.run("tick")
        run = live.run("tick")

    trade = only(live.trades())
    assert run.exit_code == 0, run.stderr
    assert (trade["status"], trade["exit_reason"], kraken.balances["XXBT"]) == ("CLOSED", "MANUAL", 0)
    bought, *sold = kraken.orders
    assert Decimal(trade["pnl"]) == sum((order.cost - order.fee for order in sold), -bought.cost - bought.fee)


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_late_fill_beside_another_trade_of_its_asset_is_an_error_until_that_is_closed(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy_and_be_canceled(live, kraken, Decimal(0))
    live.set(COOLDOWN_MINUTES="0")
    open_position(live)
    kraken.account.fill_order(kraken.orders[0], kraken.orders[0].remaining)

    with later(minutes=15):
        beside = live.run("tick")
        live.run("sell", "BTC/USD", "--yes")
        alone = live.run("tick")

    assert beside.exit_code == 1
    assert "while trade 2 of BTC is active" in beside.stderr
    assert alone.exit_code == 0, alone.stderr
    assert only(live.positions())["id"] == 1


@parametrize(
    ("owned", "exit_codes"),
    [("0.1", [1, 1, 0, 0]), ("0.0005", [69, 69, 69, 0])],
    ids=["more than the trade", "less than the trade"],
    quick=1,
)
def test_the_owners_coins_are_not_sold_while_a_sell_is_said_to_be_canceled_for_an_hour(
    live: BotRunner, kraken: FakeKraken, owned: str, exit_codes: list[int]
) -> None:
    own = kraken.balances["XXBT"] = Decimal(owned)
    buy(live)
    kraken.account.lie = Lie("canceled", seconds=3600, hides_trades=True)
    kraken.set_price("BTC/USD", 48900)

    runs = []
    for minutes in (0, 15, 30, 75, 90):
        with later(minutes=minutes):
            runs.append(live.run("tick"))

    assert "are yours and are not sold in their place" in runs[2].stderr
    assert [run.exit_code for run in runs[1:]] == exit_codes, [run.stderr for run in runs]
    assert kraken.balances["XXBT"] == own
    trade = only(live.trades())
    assert (trade["exit_reason"], Decimal(trade["exit_price"])) == ("STOP_LOSS", 48900)


# The owner's own orders in the way of an exit


@pytest.mark.usefixtures("bent_time")
@parametrize("command", [("tick",), ("sell", "BTC/USD", "--yes"), ("check-positions",)], quick=1)
def test_an_own_resting_order_that_an_exit_canceled_is_named(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48950, 48900, 48960)
    own = place_by_hand(kraken, "buy", Decimal("0.01"), 48900)

    run = live.run(*command)

    assert run.exit_code == 0, run.stderr
    assert own.status == "canceled"
    assert f"canceled your own order {own.txid}, a buy of 0.01 BTC/USD" in run.stderr
    assert trade_of(live)["status"] == "CLOSED"


@pytest.mark.usefixtures("bent_time")
def test_an_own_order_that_no_exit_met_is_not_named(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    place_by_hand(kraken, "buy", Decimal("0.01"), 30000)
    by_hand = place_by_hand(kraken, "buy", Decimal("0.01"), 30000)
    kraken.account.cancel_order(by_hand)

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert "your own order" not in run.stderr


def test_an_exit_without_money_on_hold_asks_for_no_orders(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)

    live.run("tick")

    assert kraken.count("ClosedOrders") == 0


@pytest.mark.usefixtures("bent_time")
def test_two_sells_that_hang_are_canceled_one_by_one(live: BotRunner, kraken: FakeKraken) -> None:
    """The cancel of one that fails must not leave the other one open."""
    for symbol, price in (("BTC/USD", 50000), ("ETH/USD", 2500)):
        kraken.set_price(symbol, price)
        kraken.flat_candles(symbol, price, price // 100)
        buy(live, symbol)
        kraken.set_price(symbol, price * 9 // 10)
    kraken.account.fill_mode = Never()
    kraken.clear_requests()

    live.run("check-positions")

    assert requested_endpoints(kraken).count("CancelOrder") >= 2
    assert "CancelOrderBatch" not in requested_endpoints(kraken)
    assert not any(order.is_open for order in kraken.orders)
