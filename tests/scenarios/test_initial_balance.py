"""INITIAL_BALANCE that was mistyped: named, refused by the first tick, and nothing is sold because of it."""

from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, council_says, execute_sql, output_of, sides, trade_of

pytestmark = pytest.mark.usefixtures("bent_time")


def test_the_first_tick_refuses_it_instead_of_selling_and_goes_on_guarding(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.set(INITIAL_BALANCE="100000", SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "BUY")

    first, second = live.run("tick"), live.run("tick")
    by_hand = live.run("drawdown", "--json")
    kraken.set_price("BTC/USD", 48900)
    hit = live.run("tick")

    for run in (first, second, by_hand, hit):
        assert run.exit_code == 78, output_of(run)
        assert "INITIAL_BALANCE is 100000, but the account is worth 99" in run.stderr
    assert by_hand.json()["tripped"] is False
    assert sides(kraken) == ["buy", "sell"]
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert live.json("status")["buy_enabled"] is True


def test_a_buy_by_hand_before_the_first_tick_takes_a_look_and_is_refused(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(INITIAL_BALANCE="100000")

    refused = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.fault("BalanceEx", "empty_result", times=9)
    live.set(INITIAL_BALANCE="10000")
    unknown = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.clear_faults()

    assert (refused.exit_code, unknown.exit_code) == (78, 69), output_of(unknown)
    assert "INITIAL_BALANCE is 100000, but the account is worth 10000.00" in refused.stderr
    assert sides(kraken) == []
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 0


@pytest.mark.long
def test_once_it_is_correct_a_true_loss_trips_the_guard(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] = Decimal("0.1")
    buy(live)
    live.set(INITIAL_BALANCE="100000")
    refused = live.run("tick")
    live.set(INITIAL_BALANCE="15000")
    good = live.run("tick")
    kraken.set_price("BTC/USD", 1000)
    crashed = live.run("tick")

    assert (refused.exit_code, good.exit_code, crashed.exit_code) == (78, 0, 3), output_of(crashed)
    assert trade_of(live)["exit_reason"] == "DRAWDOWN"


def test_one_that_is_mistyped_later_is_refused_as_well(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    assert live.run("tick").exit_code == 0
    live.set(INITIAL_BALANCE="100000")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert sides(kraken) == ["buy"]


def test_a_loss_that_the_settings_of_before_show_as_well_trips_the_guard(live: BotRunner, kraken: FakeKraken) -> None:
    """It is one of coins that botctl never bought."""
    kraken.balances.update({"ZUSD": Decimal(5000), "XETH": Decimal(2)})
    live.set(INITIAL_BALANCE="10000")
    assert live.run("tick").exit_code == 0
    live.set(INITIAL_BALANCE="10100")
    kraken.set_price("ETH/USD", 1000)

    assert live.run("tick").exit_code == 3


def test_what_our_own_first_trade_has_lost_trips_the_guard_at_once(live: BotRunner, kraken: FakeKraken) -> None:
    assert live.run("buy", "BTC/USD", "5000", "--yes").exit_code == 0
    kraken.set_price("BTC/USD", 27000)

    assert live.run("tick").exit_code == 3


@pytest.mark.sqlite("a text in a number's place")
def test_evidence_that_cannot_be_read_disarms_no_guard(live: BotRunner, kraken: FakeKraken) -> None:
    assert live.run("buy", "BTC/USD", "5000", "--yes").exit_code == 0
    execute_sql(live, "UPDATE \"order\" SET fee = 'much'")
    kraken.set_price("BTC/USD", 27000)

    run = live.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert "INITIAL_BALANCE can't be compared" in run.stderr


@pytest.mark.parametrize(("value", "status"), [("100000", "fail"), ("1000", "warn"), ("10500", "ok")])
def test_the_doctor_compares_it_with_the_account(live: BotRunner, value: str, status: str) -> None:
    live.set(INITIAL_BALANCE=value)

    [check] = [each for each in live.run("doctor", "--json").json() if each["name"] == "initial balance"]

    assert (check["status"], value in check["detail"], "10,000.00 USD" in check["detail"]) == (status, True, True)
