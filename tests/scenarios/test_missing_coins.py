"""Balances that contradict our own orders: absence is no evidence, and only positive evidence writes a trade off."""

import json
import time
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.journal_tools import only, open_position, sent
from tests.scenarios.steps import (
    council_says,
    execute_sql,
    output_of,
    prove_initial_balance,
    requested_endpoints,
    sides,
)

AMOUNT = Decimal("0.002")
"""What `open_position` buys, at 50000 with its stop at 49000."""


@pytest.fixture
def open_trade(live: BotRunner) -> None:
    open_position(live)
    live.run("pause")


def the_trade(live: BotRunner) -> dict[str, str]:
    return only(live.trades())


def figures(trade: dict[str, str], *names: str) -> list[Decimal]:
    return [Decimal(trade[name]) for name in names]


def surplus_seen_at(live: BotRunner) -> float:
    """When the newest look has seen what the owner holds, by the exchange's clock."""
    [text] = [value for _, key, value, _ in live.rows()["memory"] if key == "holdings.surplus"]
    return datetime.fromisoformat(json.loads(text)["BTC"][1]).timestamp()


# A balance that lies


@parametrize("shown", ["0", "0.0019", "0.001"], quick=2)
def test_a_balance_that_lacks_coins_closes_nothing_trips_nothing_and_is_an_error(
    open_trade: None, live: BotRunner, kraken: FakeKraken, shown: str
) -> None:
    live.set(MAX_DRAWDOWN="0.0000001")
    kraken.balances["ZUSD"] += Decimal("0.8")  # the fee, so that the true drawdown is zero
    kraken.account.false_balances["XXBT"] = Decimal(shown)

    run = live.run("tick", "--json")

    assert run.exit_code == 69, output_of(run)
    missing = f"{AMOUNT - Decimal(shown)} BTC are missing: the balance is {shown}, open trades hold 0.002"
    assert missing in run.json()["errors"][0]
    assert Decimal(run.json()["equity"]) == 10000
    assert live.json("status")["buy_enabled"] is True
    assert (the_trade(live)["status"], *figures(the_trade(live), "amount")) == ("OPEN", AMOUNT)
    assert sent(kraken, "sell") == []
    kraken.account.false_balances.clear()
    assert live.run("tick").exit_code == 0


@parametrize_pairs(
    ("command", "shown"), [("tick",), ("check-positions",), ("sell", "BTC/USD", "--yes")], ["0", "0.001"]
)
def test_the_stop_sells_the_trades_own_amount_whatever_the_balance_says(
    open_trade: None, live: BotRunner, kraken: FakeKraken, command: tuple[str, ...], shown: str
) -> None:
    kraken.account.false_balances["XXBT"] = Decimal(shown)
    kraken.set_price("BTC/USD", 48900)

    run = live.run(*command)

    assert run.exit_code == (0 if command[0] == "sell" else 69), output_of(run)
    assert [order.volume for order in kraken.orders if order.side == "sell"] == [AMOUNT]
    assert the_trade(live)["status"] == "CLOSED"
    assert the_trade(live)["exit_reason"] != "EXTERNAL"


@pytest.mark.usefixtures("bent_time")
def test_nothing_is_bought_while_the_balance_contradicts_a_trade(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    kraken.flat_candles("ETH/USD", 2500, 25)
    open_position(live)
    council_says(live, "BUY")
    kraken.account.false_balances["XXBT"] = Decimal(0)

    tick, by_hand = live.run("tick"), live.run("buy", "ETH/USD", "100", "--yes")
    kraken.account.false_balances.clear()
    after = live.run("tick")

    assert (tick.exit_code, by_hand.exit_code) == (69, 3), output_of(by_hand)
    assert "BTC are missing" in by_hand.stderr
    assert sides(kraken) == ["buy", "buy"]
    assert after.exit_code == 0, output_of(after)
    assert kraken.orders[-1].symbol == "ETH/USD"


def test_a_contradiction_asks_for_the_accounts_trades_and_a_quiet_tick_does_not(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.clear_requests()
    live.run("tick")
    quiet = sorted(requested_endpoints(kraken))
    kraken.account.false_balances["XXBT"] = Decimal(0)
    kraken.clear_requests()

    live.run("tick")

    assert quiet == ["BalanceEx", "Ticker"]
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "Ticker", "TradesHistory"]


@pytest.mark.usefixtures("bent_time")
def test_a_true_drawdown_of_another_asset_still_trips_the_guard(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    prove_initial_balance(live)
    kraken.account.false_balances["XXBT"] = Decimal(0)
    kraken.balances["ZUSD"] = Decimal(7000)

    run = live.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert the_trade(live)["exit_reason"] == "DRAWDOWN"


def test_the_drawdown_command_reports_a_contradiction(open_trade: None, live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.false_balances["XXBT"] = Decimal(0)

    run = live.run("drawdown")

    assert run.exit_code == 69, output_of(run)
    assert "0.002 BTC are missing" in run.stderr


# Positive evidence: an outside sale


@pytest.mark.usefixtures("bent_time")
@parametrize(
    "command", [("sell", "BTC/USD", "--yes"), ("tick",), ("check-positions",), ("liquidate", "--yes")], quick=2
)
def test_a_position_sold_by_hand_closes_as_external_with_that_sales_figures(
    open_trade: None, live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    kraken.set_price("BTC/USD", 51000)
    by_hand = kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)

    run = live.run(*command)

    assert run.exit_code == 1, output_of(run)
    assert "closed as EXTERNAL" in run.stderr
    trade = the_trade(live)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "EXTERNAL")
    assert figures(trade, "exit_price", "exit_fee") == [51000, by_hand.fee]
    assert trade["exit_order_id"] == by_hand.txid
    expected = by_hand.cost - by_hand.fee - sum(figures(trade, "entry_cost", "entry_fee"))
    assert Decimal(trade["pnl"]) == expected
    assert live.run("tick").exit_code == 0


@pytest.mark.usefixtures("bent_time")
def test_a_part_sold_by_hand_takes_its_share_of_the_cost_with_it(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    cost, fee = figures(the_trade(live), "entry_cost", "entry_fee")
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT / 4)

    first, second = live.run("tick"), live.run("tick")
    shrunk = the_trade(live)
    kraken.set_price("BTC/USD", 48900)
    live.run("tick")

    assert (first.exit_code, second.exit_code) == (1, 0), output_of(first)
    assert "shrinks to 0.0015 BTC" in first.stderr
    assert figures(shrunk, "amount", "entry_cost", "entry_fee") == [Decimal("0.0015"), cost * 3 / 4, fee * 3 / 4]
    sale, trade = kraken.orders[-1], the_trade(live)
    assert trade["exit_reason"] == "STOP_LOSS"
    assert Decimal(trade["pnl"]) == sale.cost - sale.fee - (cost + fee) * 3 / 4


@pytest.mark.usefixtures("bent_time")
def test_a_stop_sells_what_a_sale_by_hand_left_and_books_the_rest_in_the_same_run(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    cost, fee = figures(the_trade(live), "entry_cost", "entry_fee")
    kraken.set_price("BTC/USD", 48900)
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT / 4)

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert [Decimal(request.params["volume"]) for request in sent(kraken, "sell")] == [AMOUNT, AMOUNT * 3 / 4]
    trade, sale = the_trade(live), kraken.orders[-1]
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert Decimal(trade["pnl"]) == sale.cost - sale.fee - (cost + fee) * 3 / 4


@pytest.mark.usefixtures("bent_time")
def test_a_sale_of_the_owners_own_coins_is_no_evidence(open_trade: None, live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] += Decimal("0.5")
    live.run("tick")
    kraken.trade_by_hand("sell", "BTC/USD", Decimal("0.1"))
    kraken.account.false_balances["XXBT"] = Decimal(0)

    run = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert the_trade(live)["status"] == "OPEN"


@pytest.mark.usefixtures("bent_time")
def test_a_sale_that_the_owners_coins_only_partly_cover_takes_the_rest(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.balances["XXBT"] += Decimal("0.003")
    live.run("tick")
    kraken.trade_by_hand("sell", "BTC/USD", Decimal("0.004"))

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert figures(the_trade(live), "amount") == [Decimal("0.001")]


@pytest.mark.usefixtures("bent_time")
@parametrize("quiet_ticks", [0, 1], quick=1)
def test_coins_from_before_botctl_explain_the_owners_sale(
    live: BotRunner, kraken: FakeKraken, quiet_ticks: int
) -> None:
    kraken.balances["XXBT"] = Decimal(1)
    open_position(live)
    live.run("pause")
    kraken.trade_by_hand("sell", "BTC/USD", Decimal("0.9"))
    for _ in range(quiet_ticks):
        assert live.run("tick").exit_code == 0
    kraken.account.false_balances["XXBT"] = AMOUNT / 2

    run = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert (the_trade(live)["status"], *figures(the_trade(live), "amount")) == ("OPEN", AMOUNT)


@pytest.mark.usefixtures("bent_time")
@parametrize("then", ["a lie", "another sale"], quick=1)
def test_an_outside_sale_explains_coins_once(open_trade: None, live: BotRunner, kraken: FakeKraken, then: str) -> None:
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT / 4)
    shrunk = live.run("tick")
    if then == "a lie":
        kraken.account.false_balances["XXBT"] = Decimal(0)
    else:
        kraken.trade_by_hand("sell", "BTC/USD", AMOUNT / 2)

    run = live.run("tick")

    assert (shrunk.exit_code, run.exit_code) == (1, 69 if then == "a lie" else 1), output_of(run)
    assert figures(the_trade(live), "amount") == [AMOUNT * 3 / 4 if then == "a lie" else AMOUNT / 4]


@pytest.mark.usefixtures("bent_time")
@parametrize("seen_before", [False, True], quick=1)
def test_a_sale_in_the_second_of_a_look_explains_what_is_missing_unless_the_look_had_seen_it(
    open_trade: None, live: BotRunner, kraken: FakeKraken, seen_before: bool
) -> None:
    kraken.balances["XXBT"] += AMOUNT
    live.run("tick")
    time.sleep(5)  # the clock is moved on
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)  # the owner's own
    time.sleep(0 if seen_before else 5)
    live.run("tick")
    if seen_before:
        kraken.account.false_balances["XXBT"] = Decimal(0)
    else:
        kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)
    kraken.account.trades[-1] = replace(kraken.trades[-1], at=surplus_seen_at(live) + 0.5)

    run = live.run("tick")

    assert run.exit_code == (69 if seen_before else 1), output_of(run)
    assert the_trade(live)["status"] == ("OPEN" if seen_before else "CLOSED")


@pytest.mark.usefixtures("bent_time")
def test_a_balance_that_comes_back_at_the_second_look_outweighs_a_sale(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)

    def come_back(request: Request) -> None:
        if request.endpoint == "TradesHistory":
            kraken.balances["XXBT"] = AMOUNT

    kraken.after = come_back
    run = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert the_trade(live)["status"] == "OPEN"


# Positive evidence: refused for insufficient funds, and missing for long


def test_coins_that_vanished_without_a_trace_stay_open_and_an_alarm(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.balances["XXBT"] = Decimal(0)

    runs = [live.run("tick")]
    for minutes in (16, 32, 600):
        with later(minutes=minutes):
            runs.append(live.run("tick"))

    assert {run.exit_code for run in runs} == {69}
    assert the_trade(live)["status"] == "OPEN"


def test_a_refused_sell_writes_off_only_what_was_missing_for_a_quarter_of_an_hour(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.balances["XXBT"] = Decimal(0)
    kraken.set_price("BTC/USD", 48900)

    first = live.run("tick")
    with later(minutes=10):
        second = live.run("tick")
    before = the_trade(live)["status"]
    with later(minutes=16):
        third = live.run("tick")

    assert (first.exit_code, second.exit_code, before) == (69, 69, "OPEN"), output_of(second)
    assert third.exit_code == 1, output_of(third)
    assert "refused the sell for insufficient funds" in third.stderr
    trade = the_trade(live)
    assert (trade["status"], trade["exit_reason"], trade["pnl"]) == ("CLOSED", "EXTERNAL", None)
    assert len(sent(kraken, "sell")) == 3


@pytest.mark.long
def test_what_is_free_is_sold_at_once_and_the_rest_written_off_later(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    cost, fee = figures(the_trade(live), "entry_cost", "entry_fee")
    kraken.balances["XXBT"] = Decimal("0.0012345678")
    kraken.set_price("BTC/USD", 48900)

    first = live.run("tick")
    between = the_trade(live)
    with later(minutes=16):
        second = live.run("tick")

    assert (first.exit_code, second.exit_code) == (69, 1), output_of(second)
    [sale] = [order for order in kraken.orders if order.side == "sell"]
    assert sale.volume == Decimal("0.00123456")  # whole lots
    assert (between["status"], *figures(between, "amount")) == ("OPEN", AMOUNT - sale.volume)
    trade = the_trade(live)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    share = (cost + fee) * sale.volume / AMOUNT
    assert abs(Decimal(trade["pnl"]) - (sale.cost - sale.fee - share)) < Decimal("0.000001")


# There, but not free


@parametrize("key", ["XXBT.F", "XBT.HOLD", "XBT.T", "XBT14.S", "XBT.B", "XBT.M", "XBT.S", "XBT.P"], quick=2)
def test_coins_that_earn_are_not_missing_and_what_is_free_is_sold(
    open_trade: None, live: BotRunner, kraken: FakeKraken, key: str
) -> None:
    kraken.balances["XXBT"] = AMOUNT / 4
    kraken.balances[key] = AMOUNT * 3 / 4
    quiet = live.run("tick")
    kraken.set_price("BTC/USD", 48900)

    first = live.run("tick")
    between = the_trade(live)
    kraken.balances["XXBT"] += kraken.balances.pop(key)
    second = live.run("tick")

    assert (quiet.exit_code, first.exit_code, second.exit_code) == (0, 1, 0), output_of(first)
    assert "0.0015 of the 0.002 BTC" in first.stderr
    assert (between["status"], *figures(between, "amount")) == ("OPEN", AMOUNT * 3 / 4)
    assert (the_trade(live)["status"], the_trade(live)["exit_reason"]) == ("CLOSED", "STOP_LOSS")


def test_a_sale_by_hand_of_what_is_free_shows_the_sale_beside_its_error(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.balances.update({"XXBT": AMOUNT / 4, "XBT.F": AMOUNT * 3 / 4})
    text = live.run("sell", "BTC/USD", "--yes")
    kraken.balances.update({"XXBT": AMOUNT / 4, "XBT.F": AMOUNT / 2})
    run = live.run("sell", "BTC/USD", "--yes", "--json")

    assert (text.exit_code, run.exit_code) == (1, 1)
    assert "0.0005 of 0.0005" in text.stdout
    assert "0.0015 of the 0.002 BTC to sell of trade 1 is on hold or earning" in text.stderr
    assert Decimal(run.json()["filled"]) == AMOUNT / 4
    assert "0.001 of the 0.0015 BTC" in run.json()["errors"][0]


# The alarm


def test_missing_coins_are_an_alarm_until_they_are_there_again(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(NOTIFY_URLS="json://127.0.0.1:9/nobody")
    kraken.account.false_balances["XXBT"] = Decimal(0)

    live.run("tick")
    alarms = live.rows()["alarm"]
    kraken.account.false_balances.clear()
    live.run("tick")

    assert any("missing" in row and "0.002 BTC are missing" in str(row) for row in alarms), alarms
    assert "resolved" in str(live.rows()["outgoing"])


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_trade_written_off_is_an_urgent_message(open_trade: None, live: BotRunner, kraken: FakeKraken) -> None:
    live.run("tick")
    live.set(NOTIFY_URLS="json://127.0.0.1:9/nobody")
    kraken.trade_by_hand("sell", "BTC/USD", AMOUNT)

    live.run("tick")

    urgent = [str(row) for row in live.rows()["outgoing"] if "EXTERNAL" in str(row)]
    assert len(urgent) == 1, urgent


def test_a_record_that_cannot_be_read_stops_buys_and_no_sell(
    open_trade: None, live: BotRunner, kraken: FakeKraken
) -> None:
    execute_sql(live, "ALTER TABLE memory RENAME TO lost")
    kraken.set_price("BTC/USD", 48900)

    live.run("check-positions")

    assert [order.side for order in kraken.orders] == ["buy", "sell"]
