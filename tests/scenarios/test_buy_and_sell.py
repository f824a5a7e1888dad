"""Story 1: market orders on Kraken, recorded with the exchange's own figures."""

from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize_pairs
from tests.scenarios.steps import buy, council_says, output_of, prove_initial_balance, sides, trade_of


def test_a_buy_is_recorded_with_krakens_figures_and_its_stop_to_the_cent(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 50000, bid=49995, ask=50005)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    [trade] = live.trades()
    order = kraken.orders[0]
    assert trade["status"] == "OPEN"
    assert Decimal(trade["amount"]) == order.vol_exec == Decimal("0.00199980")
    assert Decimal(trade["entry_price"]) == order.cost / order.vol_exec
    assert Decimal(trade["entry_cost"]) == order.cost
    assert Decimal(trade["entry_fee"]) == order.fee > 0
    assert trade["entry_order_id"] == order.txid
    assert Decimal(trade["atr"]) == 500
    assert round(Decimal(trade["stop_loss_price"]), 2) == Decimal("49005.00")


def test_a_sell_closes_the_trade_with_profit_to_the_last_digit(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")
    before = kraken.balances["ZUSD"]
    kraken.set_price("BTC/USD", 51000)

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, run.stderr
    [trade] = live.trades()
    bought, sold = kraken.orders
    assert trade["status"] == "CLOSED"
    assert trade["exit_reason"] == "MANUAL"
    assert Decimal(trade["pnl"]) == sold.cost - sold.fee - bought.cost - bought.fee
    assert kraken.balances["ZUSD"] - before == sold.cost - sold.fee


def test_a_second_buy_of_the_asset_is_refused_also_through_another_quote(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")

    again = live.run("buy", "BTC/USD", "100", "--yes")
    other = live.run("buy", "BTC/EUR", "100", "--yes")

    assert (again.exit_code, other.exit_code) == (3, 3)
    assert "BTC already has trade 1" in other.stderr
    assert len(kraken.orders) == 1


def test_a_buy_without_the_funds_says_what_is_free(live: BotRunner, kraken: FakeKraken) -> None:
    prove_initial_balance(live)
    kraken.balances["ZUSD"] = Decimal("40.25")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4
    assert "Insufficient funds; with its fee it needs 100.8 USD, 40.25 USD is free" in run.stderr
    assert kraken.orders == []
    assert live.positions() == []


def test_a_refusal_for_want_of_funds_stands_also_when_the_balance_cannot_be_had(
    live: BotRunner, kraken: FakeKraken
) -> None:
    prove_initial_balance(live)
    kraken.fault("AddOrder", "error", error="EOrder:Insufficient funds")
    kraken.fault("BalanceEx", "error", error="EGeneral:Permission denied", times=9)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4
    assert "Insufficient funds: see `botctl balance`" in run.stderr


@pytest.mark.usefixtures("bent_time")
@parametrize_pairs(
    ("command", "refusal"),
    [("tick",), ("check-positions",), ("sell", "BTC/USD", "--yes"), ("liquidate", "--yes")],
    [("EGeneral:Permission denied", 4), ("EOrder:Rate limit exceeded", 69)],
)
def test_a_refused_sell_ends_every_command_with_the_same_exit_code(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...], refusal: tuple[str, int]
) -> None:
    text, code = refusal
    buy(live)
    council_says(live, "HOLD")
    kraken.set_price("BTC/USD", 48000)
    kraken.fault("AddOrder", "error", error=text, times=9)

    run = live.run(*command)

    assert run.exit_code == code, output_of(run)
    assert sides(kraken) == ["buy"]


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize(
    "command", [("tick",), ("check-positions",), ("sell", "BTC/USD", "--yes")], ids=lambda command: command[0]
)
def test_every_sell_is_for_whole_lots_of_what_is_there(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    buy(live)
    council_says(live, "HOLD")
    kraken.set_price("BTC/USD", 48000)
    kraken.balances["XXBT"] = Decimal("0.00123456789")  # the owner moved some of it away

    run = live.run(*command)

    assert run.exit_code == 69, output_of(run)  # what is not there may be a wrong balance
    assert "0.0007654322 BTC are missing" in run.stderr
    assert [order.volume for order in kraken.orders if order.side == "sell"] == [Decimal("0.00123456")]
    assert (trade_of(live)["status"], Decimal(trade_of(live)["amount"])) == ("OPEN", Decimal("0.00076544"))


def test_a_stop_that_is_hit_in_a_rehearsal_sells_nothing_and_writes_nothing(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    council_says(live, "HOLD")
    kraken.set_price("BTC/USD", 48000)

    run = live.run("tick", "--validate")

    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy"]
    assert trade_of(live)["status"] == "OPEN"
