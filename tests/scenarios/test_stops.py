"""Story 3: stops are checked at every visit, they only rise, and a bad answer neither fires nor silences one."""

import itertools
from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of


def check_at(live: BotRunner, kraken: FakeKraken, price: float | str) -> dict[str, Any]:
    """Move the price, check once, and return the trade."""
    kraken.set_price("BTC/USD", price)
    run = live.run("check-positions")
    assert run.exit_code == 0, output_of(run)
    return trade_of(live)


def test_a_stop_that_is_hit_sells_and_the_loss_is_right_to_the_last_digit(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", "50000.7", bid="49995.3", ask="50005.9")
    buy(live, amount="123.45")
    kraken.set_price("BTC/USD", "48765.4", bid="48760.1", ask="48770.2")

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    trade = trade_of(live)
    bought, sold = kraken.orders
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert sold.volume == bought.vol_exec == Decimal(trade["amount"])
    assert Decimal(trade["pnl"]) == sold.cost - sold.fee - bought.cost - bought.fee
    assert Decimal(trade["pnl"]) == kraken.balances["ZUSD"] - 10000
    assert Decimal(trade["exit_price"]) == sold.cost / sold.vol_exec
    assert (Decimal(trade["exit_fee"]), trade["exit_order_id"]) == (sold.fee, sold.txid)
    assert live.positions() == []


def test_the_last_trades_price_decides_and_not_the_bid(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", "49000.1", bid=48000, ask=50000)

    live.run("check-positions")

    assert sides(kraken) == ["buy"]


@pytest.mark.parametrize(("price", "orders"), [("49000.1", ["buy"]), (49000, ["buy", "sell"])])
def test_a_price_at_the_stop_is_a_hit_and_a_price_just_above_is_none(
    live: BotRunner, kraken: FakeKraken, price: float | str, orders: list[str]
) -> None:
    buy(live)

    check_at(live, kraken, price)

    assert sides(kraken) == orders


def test_a_trade_that_rose_far_enough_ends_at_breakeven(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(BREAKEVEN_ATR="1")
    kraken.set_price("BTC/USD", "50000.3")
    buy(live, amount="77.7")
    entry = float(trade_of(live)["entry_price"])

    resting = check_at(live, kraken, 50500)
    raised = check_at(live, kraken, 50600)
    still_open = check_at(live, kraken, "50000.4")
    closed = check_at(live, kraken, 50000)

    assert float(resting["stop_loss_price"]) == entry - 1000
    assert float(raised["stop_loss_price"]) == float(still_open["stop_loss_price"]) == entry
    assert (closed["status"], closed["exit_reason"]) == ("CLOSED", "BREAKEVEN")


@pytest.mark.usefixtures("bent_time")
@parametrize(
    ("prices", "stops", "reason"),
    [
        ([50200, 49800, 49500, 48999], [49000, 49000, 49000, 49000], "STOP_LOSS"),
        ([51000, 49001, 48000], [49000, 49000, 49000], "STOP_LOSS"),  # exactly 2 ATR up is not above
        ([51001, 50002, 50001], [50001, 50001, 50001], "TRAILING_STOP"),
        ([51500, 50600, 52500, 51600, 51500], [50500, 50500, 51500, 51500, 51500], "TRAILING_STOP"),
        ([60000, 59500, 40000], [59000, 59000, 59000], "TRAILING_STOP"),  # a gap through the stop
    ],
    quick=3,
)
def test_a_price_path_moves_the_stop_as_the_rule_says(
    live: BotRunner, kraken: FakeKraken, prices: list[float], stops: list[float], reason: str
) -> None:
    buy(live)

    seen = [check_at(live, kraken, price) for price in prices]

    assert [float(trade["stop_loss_price"]) for trade in seen] == stops
    assert [trade["status"] for trade in seen] == ["OPEN"] * (len(prices) - 1) + ["CLOSED"]
    assert seen[-1]["exit_reason"] == reason
    assert [float(trade["high_price"]) for trade in seen] == list(itertools.accumulate([50000, *prices], max))[1:]


def test_the_stop_never_falls_while_the_price_zigzags(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)

    path = [51200, 50900, 53000, 52100, 54000, 53500, 53900, 53100]
    stops = [float(check_at(live, kraken, price)["stop_loss_price"]) for price in path]

    assert stops == sorted(stops)
    assert stops[-1] == 53000
    assert sides(kraken) == ["buy"]


def test_another_multiple_in_the_settings_does_not_lower_a_stop_that_stands(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    check_at(live, kraken, 52000)

    live.set(ATR_MULTIPLE="4")
    trade = check_at(live, kraken, 52100)

    assert float(trade["stop_loss_price"]) == 51000


# Prices that are none

NO_PRICES: list[Any] = ["0", "0.00000", "-1", "nan", "inf", "-inf", "", "abc", None, True, [], {}]


def ticker(btc: Any, eth: str) -> dict[str, Any]:
    good = {"a": [eth, "1", "1"], "b": [eth, "1", "1"], "c": [eth, "1"]}
    result = {"XETHZUSD": good}
    if btc is not ...:
        result["XXBTZUSD"] = {**good, "c": [btc, "1"]}
    return {"error": [], "result": result}


def a_bitcoin_and_an_ether(live: BotRunner, kraken: FakeKraken) -> None:
    """Two positions; the ether's stop is at 2450."""
    kraken.set_price("ETH/USD", 2500)
    buy(live)
    buy(live, "ETH/USD")
    kraken.clear_requests()


@parametrize("price", [..., *NO_PRICES], ids=lambda price: "missing" if price is ... else repr(price), quick=1)
def test_a_price_that_is_none_triggers_nothing_and_silences_no_other_stop(
    live: BotRunner, kraken: FakeKraken, price: Any
) -> None:
    a_bitcoin_and_an_ether(live, kraken)
    kraken.set_price("ETH/USD", 2449)
    kraken.fault("Ticker", "shape", body=ticker(price, "2449.0"))

    run = live.run("check-positions")

    assert run.exit_code != 0
    assert "BTC/USD has no" in run.stderr
    bitcoin, ether = trade_of(live), trade_of(live, "ETH/USD")
    assert (bitcoin["status"], ether["status"], ether["exit_reason"]) == ("OPEN", "CLOSED", "STOP_LOSS")
    assert (float(bitcoin["stop_loss_price"]), float(bitcoin["high_price"])) == (49000, 50000)
    assert [order.symbol for order in kraken.orders if order.side == "sell"] == ["ETH/USD"]


@parametrize("price", ["0", "-50000", "NaN"], quick=1)
def test_a_price_that_is_none_liquidates_nothing_in_a_tick(live: BotRunner, kraken: FakeKraken, price: str) -> None:
    """Kraken's own market shows it, so every look sees it: no stop and no drawdown guard may believe it."""
    a_bitcoin_and_an_ether(live, kraken)
    council_says(live, "HOLD")
    kraken.set_price("ETH/USD", 2449)
    kraken.set_price("BTC/USD", price, bid=50000, ask=50000)

    run = live.run("tick")

    assert run.exit_code != 0
    assert "BTC/USD has no" in run.stderr
    assert [order.symbol for order in kraken.orders if order.side == "sell"] == ["ETH/USD"]
    assert live.json("status")["buy_enabled"] is True


@parametrize("error", ["EGeneral:Invalid arguments", "EGeneral:Temporary lockout"], quick=1)
def test_prices_that_kraken_refuses_are_an_error_and_no_crash(live: BotRunner, kraken: FakeKraken, error: str) -> None:
    buy(live)
    council_says(live, "HOLD")
    kraken.fault("Ticker", "error", times=9, error=error)

    check, tick = live.run("check-positions"), live.run("tick")
    kraken.clear_faults()

    assert check.exit_code in (4, 69), output_of(check)
    assert tick.exit_code in (1, 4, 69), output_of(tick)
    assert error in check.stderr
    assert error in tick.stderr
    assert "bug" not in check.stderr + tick.stderr
    assert live.json("status")["last_tick_ok"] is False
    assert sides(kraken) == ["buy"]


# Balances that can't be had

NO_BALANCE = ["empty", "html", "truncated", "empty_result"]


@pytest.mark.usefixtures("bent_time")
@parametrize("kind", NO_BALANCE, quick=1)
def test_without_balances_a_hit_stop_sells_the_trades_amount_and_nothing_else_is_sold(
    live: BotRunner, kraken: FakeKraken, kind: str
) -> None:
    a_bitcoin_and_an_ether(live, kraken)
    kraken.balances["XXBT"] += Decimal("0.5")  # the owner's own
    kraken.set_price("BTC/USD", 48999)
    kraken.fault("BalanceEx", kind, times=9)

    run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert "BalanceEx" in run.stderr or "balance" in run.stderr
    assert [(order.symbol, order.volume) for order in kraken.orders if order.side == "sell"] == [
        ("BTC/USD", Decimal("0.002"))
    ]
    assert kraken.balances["XXBT"] == Decimal("0.5")
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert trade_of(live, "ETH/USD")["status"] == "OPEN"


def test_a_balance_answer_without_a_figure_is_not_a_balance_of_zero(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    kraken.fault("BalanceEx", "shape", times=9, body={"error": [], "result": {"XXBT": {"hold_trade": "0"}}})

    run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert sides(kraken) == ["buy", "sell"]


def test_a_stop_sells_no_coin_of_the_owners(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.balances["XXBT"] += Decimal(3)

    check_at(live, kraken, 48999)

    assert kraken.balances["XXBT"] == 3


def test_a_stop_that_kraken_refuses_for_a_passing_reason_is_sold_by_the_next_look(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    kraken.fault("AddOrder", "error", error="EGeneral:Permission denied")

    refused = live.run("check-positions")
    kraken.set_price("BTC/USD", 49500)  # an exit that has begun goes on, whatever the price
    again = live.run("check-positions")

    assert (refused.exit_code, again.exit_code) == (4, 0)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert len({order["client_order_id"] for order in live.orders()}) == 3
