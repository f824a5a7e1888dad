"""The drawdown guard among lies: prices and balances that contradict what is known trip nothing, true losses do."""

from decimal import Decimal
from typing import Any

import pytest

from tests import quick
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, council_says, output_of, trade_of

FACTORS = ["0.001", "0.1", "0.5", "0.6", "2", "10", "1000"]
FALLS = [factor for factor in FACTORS if Decimal(factor) < 1]

pytestmark = pytest.mark.usefixtures("bent_time")


@pytest.fixture
def account(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A small trade of BTC, and the owner's own 4 ETH, which are all but everything."""
    live.set(INITIAL_BALANCE="10000", SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "HOLD")
    kraken.balances["ZUSD"] = Decimal(1000)
    kraken.balances["XETH"] = Decimal("3.6")
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    buy(live)
    return live


def after_a_good_look(account: BotRunner) -> BotRunner:
    assert account.run("tick").exit_code == 0
    return account


def is_calm(account: BotRunner) -> bool:
    status = account.json("status")
    return (status["buy_enabled"], status["tripped_at"], trade_of(account)["status"]) == (True, None, "OPEN")


@quick.parametrize("factor", FALLS, quick=1)
@quick.parametrize_pairs(("known", "answers"), [True, False], [1, None])
def test_a_price_that_lies_does_not_trip_the_guard_for_an_answer_or_an_hour(
    account: BotRunner, kraken: FakeKraken, factor: str, known: bool, answers: int | None
) -> None:
    if known:
        after_a_good_look(account)
    kraken.markets.lie_about("ETH/USD", "abc", factor, answers)

    runs = [account.run("drawdown") for _ in range(2)]

    assert is_calm(account), output_of(runs[0])
    if answers is None:
        assert {run.exit_code for run in runs} == {69}, output_of(runs[1])
        assert "the price of ETH/USD" in runs[0].stderr
    kraken.markets.tell_the_truth()
    assert account.run("drawdown").exit_code == 0


@pytest.mark.long
@quick.parametrize("factor", [*FACTORS[4:], *FALLS], quick=1)
def test_a_price_that_lies_for_an_hour_is_no_equity(account: BotRunner, kraken: FakeKraken, factor: str) -> None:
    after_a_good_look(account)
    before = Decimal(account.json("status")["equity"])
    kraken.markets.lie_about("ETH/USD", "abc", factor)

    runs = [account.run("tick") for _ in range(3)]

    assert Decimal(account.json("status")["equity"]) == before
    assert {run.exit_code for run in runs} == {69}, output_of(runs[0])


@pytest.mark.long
@quick.parametrize("factor", ["0.6", "0.1"], quick=1)
def test_all_prices_that_lie_together_trip_nothing(account: BotRunner, kraken: FakeKraken, factor: str) -> None:
    after_a_good_look(account)
    for symbol in ("BTC/USD", "ETH/USD"):
        kraken.markets.lie_about(symbol, "abc", factor)

    run = account.run("drawdown")

    assert run.exit_code == 69, output_of(run)
    assert is_calm(account)


@quick.parametrize_pairs(("known", "candles"), [True, False], ["agree", "unreachable"])
def test_a_true_crash_trips_the_guard_at_the_first_tick(
    account: BotRunner, kraken: FakeKraken, known: bool, candles: str
) -> None:
    if known:
        after_a_good_look(account)
    kraken.set_price("BTC/USD", 30000)
    kraken.set_price("ETH/USD", 1500)
    if candles == "unreachable":
        kraken.fault("OHLC", "drop_before", times=99)

    run = account.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert trade_of(account)["exit_reason"] == "DRAWDOWN"


def test_a_tripped_guard_goes_on_showing_what_the_account_is_worth(account: BotRunner, kraken: FakeKraken) -> None:
    """A price that moved so far is believed once, by the candles, and not forgotten while the guard stays tripped."""
    after_a_good_look(account)
    kraken.set_price("ETH/USD", 1500)
    runs = [account.run("tick", "--json") for _ in range(3)]

    assert [run.exit_code for run in runs] == [3, 3, 3], output_of(runs[0])
    assert {Decimal(run.json()["equity"]) for run in runs} == {kraken.balances["ZUSD"] + Decimal("3.6") * 1500}


def test_a_lie_about_one_coin_hides_no_true_loss_of_another(account: BotRunner, kraken: FakeKraken) -> None:
    after_a_good_look(account)
    kraken.markets.lie_about("BTC/USD", "abc", "1000")
    kraken.set_price("ETH/USD", 1500)

    assert account.run("drawdown").exit_code == 3


# Balances


def show(kraken: FakeKraken, **balances: Any) -> None:
    kraken.account.false_balances = {asset: Decimal(str(amount)) for asset, amount in balances.items()}


@quick.parametrize_pairs(("asset", "factor"), ["ZUSD", "XETH"], ["0", "0.5", "2"], quick=2)
def test_a_balance_that_lies_for_a_minute_trips_nothing_and_is_no_equity(
    account: BotRunner, kraken: FakeKraken, asset: str, factor: str
) -> None:
    account.set(INITIAL_BALANCE="10000", MAX_DRAWDOWN="0.02")
    kraken.balances["ZUSD"] += Decimal(1)
    after_a_good_look(account)
    before = Decimal(account.json("drawdown", "--check")["equity"])
    kraken.account.false_balances[asset] = kraken.balances[asset] * Decimal(factor)

    runs = [account.run("tick") for _ in range(2)]

    assert {run.exit_code for run in runs} == {0}, output_of(runs[0])
    assert {Decimal(account.json("status")["equity"])} == {before}
    assert is_calm(account)
    kraken.account.false_balances.clear()
    assert account.run("tick").exit_code == 0
    assert Decimal(account.json("status")["equity"]) == before


@pytest.mark.long
def test_a_coin_out_of_nowhere_hides_no_loss(account: BotRunner, kraken: FakeKraken) -> None:
    after_a_good_look(account)
    kraken.account.false_balances["SOL"] = Decimal(1000)
    kraken.set_price("ETH/USD", 1500)

    assert account.run("drawdown").exit_code == 3


def test_cash_that_our_own_orders_moved_is_expected(account: BotRunner, kraken: FakeKraken) -> None:
    account.set(MAX_DRAWDOWN="0.02")
    kraken.balances["ZUSD"] += Decimal(1)
    after_a_good_look(account)
    cash = kraken.balances["ZUSD"]
    buy(account, "ETH/USD", "500")
    kraken.account.false_balances["ZUSD"] = cash  # it lags

    lagging = account.run("tick", "--json")
    kraken.account.false_balances.clear()
    true = account.run("tick", "--json")

    assert (lagging.exit_code, true.exit_code) == (0, 0), output_of(true)
    assert lagging.json()["equity"] == true.json()["equity"]
