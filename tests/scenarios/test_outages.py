"""Kraken can't be reached: one line says why, what was not checked, and when it is tried again."""

import re

import pytest

from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, output_of

pytestmark = pytest.mark.usefixtures("bent_time")

POSITIONS = "BTC/USD (trade 1, stop 49000), ETH/USD (trade 2, stop 2450)"


def cut_off(live: BotRunner, url: str = "http://127.0.0.1:9") -> None:
    live.set(KRAKEN_API_URL=url)


def outage_in(run: Run) -> str:
    """The only line on stderr."""
    assert run.exit_code == 69, output_of(run)
    [line] = run.stderr.splitlines()
    return line


@pytest.fixture
def two_trades(live: BotRunner) -> BotRunner:
    buy(live)
    buy(live, "ETH/USD")
    assert live.run("tick").exit_code == 0
    return live


@parametrize(
    ("command", "undone", "again"),
    [
        ("tick", f"; not checked: {POSITIONS}", "the next tick tries again in 15 min"),
        ("liquidate --yes", f"; not sold: {POSITIONS}", "run `botctl liquidate` again; each tick goes on"),
        ("sell BTC/USD --yes", "", "nothing was sold; run it again"),
        ("buy SOL/USD 100 --yes", "", "nothing was bought; run it again later"),
        ("check-positions", f"; not checked: {POSITIONS}", r"the next tick tries again in 1\d min"),
        ("drawdown", f"; not checked: {POSITIONS}", r"the next tick tries again in 1\d min"),
    ],
    quick=2,
)
def test_an_outage_is_one_line(two_trades: BotRunner, command: str, undone: str, again: str) -> None:
    cut_off(two_trades)

    line = outage_in(two_trades.run(*command.split()))

    assert f"can't reach Kraken at 127.0.0.1:9: connection refused{undone}: " in line
    assert re.search(again, line)


@parametrize(
    ("url", "why"),
    [
        ("https://kraken.invalid", "its name can't be resolved"),
        ("https://127.0.0.1:{port}", "TLS failed"),
    ],
    quick=1,
)
def test_the_innermost_cause_is_named(two_trades: BotRunner, kraken: FakeKraken, url: str, why: str) -> None:
    cut_off(two_trades, url.format(port=kraken.url.rsplit(":", 1)[1]))

    assert why in outage_in(two_trades.run("check-positions"))


@parametrize("kind", ["status", "drop_before"], quick=1)
def test_balances_alone_leave_all_stops_checked(two_trades: BotRunner, kraken: FakeKraken, kind: str) -> None:
    kraken.fault("BalanceEx", kind, times=99)

    assert "; all stops were checked: the next tick tries again in" in outage_in(two_trades.run("check-positions"))


@parametrize("kind", ["status", "drop_before"], quick=1)
def test_prices_alone_are_one_line_without_advice_about_coins(
    two_trades: BotRunner, kraken: FakeKraken, kind: str
) -> None:
    kraken.fault("Ticker", kind, times=99)

    line = outage_in(two_trades.run("tick"))

    assert f"; not checked: {POSITIONS}: the next tick tries again in" in line


def test_json_and_the_tick_that_is_kept_say_the_same_once(two_trades: BotRunner) -> None:
    cut_off(two_trades)

    run = two_trades.run("tick", "--json")

    [error] = run.json()["errors"]
    assert f"not checked: {POSITIONS}" in error
    failed = {step["name"]: step["detail"] for step in run.json()["steps"] if not step["ok"]}
    assert failed == dict.fromkeys(("look", "positions"), "can't reach Kraken at 127.0.0.1:9: connection refused")


def test_the_doctor_says_it_once(live: BotRunner) -> None:
    cut_off(live)

    failed = [each for each in live.run("doctor", "--json").json() if "reach" in each["detail"]]

    assert [(each["name"], each["status"]) for each in failed] == [("exchange", "fail")]
    assert failed[0]["fix"] == "check this machine's network and KRAKEN_API_URL"


def test_without_ticks_before_it_is_the_next_run_that_tries_again(live: BotRunner) -> None:
    buy(live)
    cut_off(live)

    assert outage_in(live.run("check-positions")).endswith(": the next run tries again")
