"""How orders end: whole, in part, in pieces, late or not at all; and what is sold when somebody else sold first."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from peewee import IntegrityError

from botctl.adapters.clock import SystemClock
from botctl.config import load_config
from botctl.domain.errors import OutcomeUnknown
from botctl.domain.orders import ExitReason, OrderState
from botctl.store.journal import Journal
from botctl.store.models import Order, Trade
from botctl.trading.orders.wait_budget import WaitBudget
from botctl.trading.time_budget import TimeBudget
from botctl.wiring import open_bot
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Instant, Never, PartialThenCanceled, Pieces, Request, Slow
from tests.fake_kraken.faults import Reply
from tests.quick import parametrize
from tests.scenarios.journal_tools import only, open_position, place_by_hand, private_calls, run_until, sent
from tests.scenarios.steps import stopped_clock


def calculated_pnl(kraken: FakeKraken) -> Decimal:
    """What the account itself gained: the sum of all fills' costs and fees."""
    sign = {"buy": -1, "sell": 1}
    return sum((sign[fill.side] * fill.cost - fill.fee for fill in kraken.trades), Decimal(0))


# Entries that are not filled whole


def test_a_buy_that_is_partly_filled_and_canceled_is_open_with_what_filled(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.4"))

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    trade, [order] = only(live.positions()), live.orders()
    assert order["state"] == "CANCELED"
    assert Decimal(order["filled"]) == Decimal(trade["amount"]) == kraken.orders[0].vol_exec == Decimal("0.0008")
    assert Decimal(trade["entry_cost"]) == kraken.orders[0].cost
    assert Decimal(trade["stop_loss_price"]) == 49000
    kraken.account.fill_mode = Instant()
    assert live.run("sell", "BTC/USD", "--yes").exit_code == 0
    assert Decimal(only(live.trades())["pnl"]) == calculated_pnl(kraken)


@pytest.mark.usefixtures("bent_time")
def test_a_market_sell_that_record_and_fills_show_halved_for_long_is_not_sold_twice(
    live: BotRunner, kraken: FakeKraken
) -> None:
    """Nobody can have changed its amount, as an owner may change that of a stop that rests."""

    def halve(request: Request, reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        if request.endpoint in ("QueryOrders", "QueryTrades"):
            for record in answer["result"].values():
                for name in record.keys() & {"vol", "vol_exec", "cost", "fee"}:
                    record[name] = f"{Decimal(record[name]) / 2}"
        return replace(reply, body=json.dumps(answer).encode())

    open_position(live)
    kraken.account.balances["XXBT"] += Decimal(1)
    kraken.set_price("BTC/USD", 48000)
    kraken.alter_reply = halve

    for minutes in (0, 15):
        with later(minutes=minutes):
            live.run("tick")

    assert [order.side for order in kraken.orders] == ["buy", "sell"]


@pytest.mark.parametrize("locked_out", [False, True])
def test_a_run_waits_for_fills_as_long_as_it_may_and_not_at_all_while_it_is_locked_out(
    live: BotRunner, kraken: FakeKraken, locked_out: bool
) -> None:
    def hide(request: Request, reply: Reply) -> Reply:
        results = {"QueryTrades": b"{}", "TradesHistory": b'{"trades":{},"count":0}'}
        found = results.get(request.endpoint)
        return reply if found is None else replace(reply, body=b'{"error":[],"result":%s}' % found)

    kraken.alter_reply = hide
    if locked_out:
        kraken.fault("QueryOrders", "error", error="EGeneral:Temporary lockout")
    with stopped_clock() as clock:
        before = clock()
        run = live.run("buy", "BTC/USD", "100", "--yes")
        waited = (clock() - before).total_seconds()

    assert run.exit_code == 69, run.stderr
    assert waited < 5 if locked_out else waited >= 20


def test_a_pause_within_a_look_up_is_counted_once() -> None:
    budget = WaitBudget(SystemClock(), TimeBudget(None))
    with stopped_clock() as clock, budget.spending():
        clock.tick(3)
        assert budget.wait(2)

    assert budget.spent == 5


@pytest.mark.usefixtures("bent_time")
def test_a_buy_that_is_canceled_unfilled_fails_its_trade(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4
    assert "unfilled" in run.stderr
    assert (only(live.orders())["state"], only(live.trades())["status"]) == ("CANCELED", "FAILED")
    kraken.account.fill_mode = Instant()
    assert open_position(live)["status"] == "OPEN"


@pytest.mark.usefixtures("bent_time")
@parametrize("mode", [Slow(looks=2), Slow(looks=1, at_once=Decimal("0.3")), Slow(seconds=0.5)], quick=2)
def test_a_buy_that_stays_open_for_a_while_is_followed_to_its_end(
    live: BotRunner, kraken: FakeKraken, mode: Slow
) -> None:
    kraken.account.fill_mode = mode

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert Decimal(only(live.positions())["amount"]) == kraken.orders[0].volume
    assert Decimal(only(live.positions())["entry_fee"]) == kraken.orders[0].fee
    assert len(sent(kraken)) == 1


def test_an_order_left_open_by_a_dead_run_is_left_alone_and_settled_later(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = Never()
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")
    [order] = kraken.orders
    kraken.account.fill_order(order, order.volume / 4)

    unsure, state = live.run("tick"), only(live.orders())["state"]
    kraken.account.cancel_order(order, "Canceled by the engine")
    sure = live.run("tick")

    assert (unsure.exit_code, state) == (69, "ACCEPTED")
    assert sure.exit_code == 0, sure.stderr
    assert Decimal(only(live.positions())["amount"]) == order.vol_exec == order.volume / 4
    assert len(sent(kraken)) == 1


@pytest.mark.parametrize("count", [3, 25])
def test_fills_in_pieces_are_summed_to_the_last_digit(live: BotRunner, kraken: FakeKraken, count: int) -> None:
    kraken.account.fill_mode = Pieces(count, step=Decimal("0.7"))

    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 0
    assert live.run("sell", "BTC/USD", "--yes").exit_code == 0

    trade, (bought, sold) = only(live.trades()), kraken.orders
    assert len(bought.trade_ids) == len(sold.trade_ids) == count
    assert (Decimal(trade["entry_cost"]), Decimal(trade["entry_fee"])) == (bought.cost, bought.fee)
    assert (Decimal(trade["exit_fee"]), Decimal(trade["exit_price"])) == (sold.fee, sold.cost / sold.vol_exec)
    assert Decimal(trade["pnl"]) == calculated_pnl(kraken)


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize("shown", [0, 1])
def test_fills_that_kraken_shows_late_are_waited_for_and_not_left_out(
    live: BotRunner, kraken: FakeKraken, shown: int
) -> None:
    kraken.account.fill_mode = Pieces(3, step=Decimal("0.7"))
    half = {"ordertxid": "OABC", "vol": "0.001", "cost": "50.0", "fee": "0.2", "time": 1795348571.0}
    kraken.fault("QueryTrades", "shape", body={"error": [], "result": {"TABC": half} if shown else {}})

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert Decimal(only(live.positions())["entry_cost"]) == kraken.orders[0].cost
    assert Decimal(only(live.positions())["amount"]) == kraken.orders[0].vol_exec


@pytest.mark.long
def test_one_answer_without_fills_does_not_cost_a_late_recovery_the_exact_figures(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.set_price("BTC/USD", "50123.4")
    run_until(live, kraken, "AddOrder", "after", "buy", "BTC/USD", "100", "--yes")
    kraken.fault("QueryTrades", "empty_result")

    with later(minutes=15):
        run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    [order], trade = kraken.orders, only(live.positions())
    assert (Decimal(trade["entry_cost"]), Decimal(trade["entry_fee"])) == (order.cost, order.fee)


# Exits that are not filled whole


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_stop_that_is_partly_filled_goes_on_at_the_next_check_though_the_price_recovered(
    live: BotRunner, kraken: FakeKraken
) -> None:
    bought = Decimal(open_position(live)["amount"])
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.25"))
    live.run("tick")
    between = only(live.positions())
    kraken.set_price("BTC/USD", 50400)
    kraken.account.fill_mode = Instant()

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert (between["status"], Decimal(between["amount"])) == ("OPEN", bought * (Decimal(3) / 4) ** 3)
    trade = only(live.trades())
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert Decimal(trade["amount"]) == bought
    assert Decimal(trade["pnl"]) == calculated_pnl(kraken)
    assert kraken.balances["XXBT"] == 0


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_sell_by_hand_that_is_partly_filled_goes_on_at_the_next_check(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.5"))
    live.run("sell", "BTC/USD", "--yes")
    kraken.account.fill_mode = Instant()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert (only(live.trades())["status"], only(live.trades())["exit_reason"]) == ("CLOSED", "MANUAL")
    assert kraken.balances["XXBT"] == 0


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_sell_that_came_too_late_and_then_filled_partly_goes_on_at_the_next_check(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    kraken.fault("AddOrder", "error", error="EGeneral:Invalid arguments:deadline")
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.5"))
    live.run("sell", "BTC/USD", "--yes")
    kraken.account.fill_mode = Instant()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["status"] == "CLOSED"


@pytest.mark.usefixtures("bent_time")
def test_a_stop_that_is_canceled_unfilled_is_sent_again_by_the_next_check(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))
    live.run("tick")
    kraken.account.fill_mode = Instant()

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["status"] == "CLOSED"
    assert len(sent(kraken, "sell")) == 2


def test_a_part_sold_by_hand_reduces_the_trade_and_keeps_its_stop(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)

    run = live.run("sell", "BTC/USD", "0.0005", "--yes")

    assert run.exit_code == 0, run.stderr
    trade = only(live.positions())
    assert (trade["status"], Decimal(trade["amount"])) == ("OPEN", Decimal("0.0015"))
    assert Decimal(trade["stop_loss_price"]) == 49000
    assert live.run("tick").exit_code == 0
    assert len(sent(kraken, "sell")) == 1  # nobody asked for the rest
    kraken.set_price("BTC/USD", 48900)
    live.run("tick")
    assert Decimal(only(live.trades())["pnl"]) == calculated_pnl(kraken)


# Somebody else's hands


@parametrize("command", [("sell", "BTC/USD", "--yes"), ("tick",)], quick=1)
def test_a_sell_leaves_the_owners_other_coins_alone(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    kraken.balances["XXBT"] = Decimal("0.123")
    open_position(live)
    kraken.set_price("BTC/USD", 48900)

    run = live.run(*command)

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["status"] == "CLOSED"
    assert kraken.balances["XXBT"] == Decimal("0.123")


def test_more_than_the_trade_holds_is_never_sold(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] = Decimal(1)
    open_position(live)

    run = live.run("sell", "BTC/USD", "0.5", "--yes")

    assert run.exit_code == 2
    assert sent(kraken, "sell") == []


def test_coins_on_hold_in_the_owners_own_order_are_an_error_and_not_external(
    live: BotRunner, kraken: FakeKraken
) -> None:
    amount = Decimal(open_position(live)["amount"])
    own = place_by_hand(kraken, "sell", amount, 60000)
    kraken.set_price("BTC/USD", 48900)

    held = live.run("tick")
    status_then = only(live.trades())["status"]
    kraken.account.cancel_order(own)
    done = live.run("tick")

    assert (held.exit_code, status_then) == (1, "OPEN")
    assert "on hold" in held.stderr
    assert done.exit_code == 0, done.stderr
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"
    assert len([order for order in kraken.orders if order.ordertype == "market"]) == 2


@pytest.fixture
def a_high_minimum(kraken: FakeKraken) -> None:
    """99 USD at least: what 100 USD buy could not be sold at its stop, two percent below."""
    kraken.markets["BTC/USD"].costmin = Decimal(99)


@pytest.mark.usefixtures("bent_time")
def test_a_buy_that_could_not_be_sold_at_its_own_stop_is_refused(
    a_high_minimum: None, live: BotRunner, kraken: FakeKraken
) -> None:
    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4
    assert "at its stop" in run.stderr
    assert sent(kraken) == []
    assert live.trades() == live.orders() == []
    assert live.run("buy", "BTC/USD", "102", "--yes").exit_code == 0


# Checked only


def test_a_validated_buy_places_nothing_writes_nothing_and_says_so(live: BotRunner, kraken: FakeKraken) -> None:
    run = live.run("buy", "BTC/USD", "100", "--validate")

    assert run.exit_code == 0, run.stderr
    assert "nothing was traded" in run.stdout + run.stderr
    assert [request.params.get("validate") for request in sent(kraken)] == ["true"]
    assert live.json("buy", "BTC/USD", "100", "--validate")["state"] == "VALIDATED"
    assert not kraken.orders
    assert live.trades() == live.orders() == []


@parametrize("command", [("sell", "BTC/USD", "--validate"), ("tick", "--validate")], quick=1)
def test_a_validated_exit_leaves_the_trade_as_it_was(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    before = open_position(live)
    kraken.set_price("BTC/USD", 48900)

    run = live.run(*command)

    assert run.exit_code == 0, run.stderr
    assert "validate" in (run.stdout + run.stderr).lower()
    assert [request.params.get("validate") for request in sent(kraken, "sell")] == ["true"]
    assert only(live.positions()) == before
    assert len(kraken.orders) == len(live.orders()) == 1
    kraken.set_price("BTC/USD", 50000)
    live.run("tick")
    assert only(live.positions())["status"] == "OPEN"  # a validated exit has not begun


def test_a_validated_order_that_kraken_refuses_is_a_refusal(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.discard("modify-trades")

    run = live.run("buy", "BTC/USD", "100", "--validate")

    assert run.exit_code == 4
    assert "Permission denied" in run.stderr
    assert live.trades() == []


# Locked out


def test_after_a_lock_out_no_private_call_is_made_until_its_end(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("BalanceEx", "error", error="EGeneral:Temporary lockout")
    first = live.run("tick")
    kraken.clear_requests()

    for command in (("tick",), ("check-positions",), ("sell", "BTC/USD", "--yes"), ("balance",)):
        assert live.run(*command).exit_code == 69, command
    with later(minutes=14):
        assert live.run("tick").exit_code == 69
    calls_during = private_calls(kraken)
    with later(minutes=16):
        done = live.run("tick")

    assert first.exit_code == 69
    assert calls_during == []
    assert done.exit_code == 0, done.stderr
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


@pytest.mark.long
def test_a_stop_that_a_lock_out_answered_is_looked_up_after_it_and_sent_again(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "error", error="EGeneral:Temporary lockout")

    locked = live.run("tick")
    calls_after = private_calls(kraken)[private_calls(kraken).index("AddOrder") + 1 :]
    kraken.clear_requests()
    with later(minutes=16):
        done = live.run("tick")

    assert (locked.exit_code, "OpenOrders" in calls_after) == (69, False)
    assert done.exit_code == 0, done.stderr
    assert [order["side"] for order in live.orders() if order["state"] == "FILLED"] == ["buy", "sell"]
    assert len(sent(kraken, "sell")) == 1


# What the database itself forbids


def test_a_second_unsettled_order_of_one_trade_is_impossible_in_the_database(live: BotRunner) -> None:
    open_position(live)
    live.open_store()
    journal, now = Journal("live"), datetime.now(UTC)
    trade = Trade.get()
    journal.intend_exit(trade, trade.amount, ExitReason.MANUAL, whole=True, check=lambda: None, deadline=now, now=now)

    with pytest.raises(IntegrityError):
        journal.intend_exit(
            trade, trade.amount, ExitReason.MANUAL, whole=True, check=lambda: None, deadline=now, now=now
        )

    assert Order.select().where(Order.state == OrderState.INTENDED).count() == 1


def test_a_second_sell_is_refused_before_the_database_has_to(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    with open_bot(load_config()) as bot:
        trade, now = Trade.get(), datetime.now(UTC)
        bot.journal.intend_exit(
            trade, trade.amount, ExitReason.MANUAL, whole=True, check=lambda: None, deadline=now, now=now
        )

        with pytest.raises(OutcomeUnknown, match="trade 1 has an order whose ending is unknown"):
            bot.execution.execute_sell("BTC/USD", trade.amount)

    assert len(sent(kraken, "sell")) == 0


def test_a_second_active_trade_of_one_asset_is_impossible_in_the_database(live: BotRunner) -> None:
    open_position(live)
    live.open_store()

    with pytest.raises(IntegrityError):
        Trade.create(symbol="BTC/EUR", asset="BTC", mode="live", created_at=datetime.now(UTC), amount=Decimal(1))

    assert Trade.select().count() == 1
