"""A key that may withdraw guards and sells, and buys nothing; it is asked once a day, and silence is no answer."""

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, sides, stopped_clock

DAY, QUARTER = 86_400, 900


@parametrize("right", ["withdraw-funds", "add-withdraw-address"], quick=1)
def test_a_key_that_may_withdraw_sells_and_buys_nothing(live: BotRunner, kraken: FakeKraken, right: str) -> None:
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.set(SYMBOLS="ETH/USD")
    council_says(live, "BUY")
    with stopped_clock() as clock:
        buy(live)
        kraken.key.permissions.add(right)
        kraken.set_price("BTC/USD", 48900)
        clock.tick(DAY)

        by_hand = live.run("buy", "ETH/USD", "100", "--yes")
        validated = live.run("buy", "ETH/USD", "100", "--validate")
        tick = live.run("tick", "--json")
        live.set(ALLOW_WITHDRAW_KEY="yes")
        allowed = live.run("tick")

    assert (by_hand.exit_code, validated.exit_code, tick.exit_code) == (78, 0, 78), output_of(tick)
    assert f"the API key may withdraw ({right})" in by_hand.stderr
    assert "ALLOW_WITHDRAW_KEY=yes" in by_hand.stderr
    assert any("may withdraw" in error for error in tick.json()["errors"])
    assert tick.json()["decisions"][0]["reason"] == "not asked: the API key may withdraw"
    assert allowed.exit_code == 0, output_of(allowed)
    assert sides(kraken) == ["buy", "sell", "buy"]


def test_a_key_is_asked_once_a_day_and_only_where_something_may_be_bought(live: BotRunner, kraken: FakeKraken) -> None:
    asked = []
    with stopped_clock() as clock:
        for command in ("check-positions", "drawdown", "tick", "tick", "tick", "buy BTC/USD 100 --yes"):
            live.run(*command.split())
            asked.append(kraken.count("GetApiKeyInfo"))
            clock.tick(QUARTER)
        clock.tick(DAY)
        live.run("tick")

    assert asked == [0, 0, 1, 1, 1, 1]
    assert kraken.count("GetApiKeyInfo") == 2


@parametrize("fault", [("html", None), ("empty_result", None), ("error", "EGeneral:Internal error")], quick=1)
def test_silence_about_a_key_allows_buys_with_a_warning_and_unblocks_none(
    live: BotRunner, kraken: FakeKraken, fault: tuple[str, str | None]
) -> None:
    kind, error = fault
    with stopped_clock() as clock:
        kraken.fault("GetApiKeyInfo", kind, times=9, error=error)
        first = live.run("buy", "BTC/USD", "100", "--yes")
        live.run("tick")
        asked = kraken.count("GetApiKeyInfo")
        kraken.clear_faults()
        kraken.key.permissions.add("withdraw-funds")
        clock.tick(DAY)
        blocked = live.run("tick")
        kraken.fault("GetApiKeyInfo", kind, times=9, error=error)
        clock.tick(DAY)
        still = live.run("tick")

    assert (first.exit_code, asked) == (0, 1), output_of(first)
    assert "the rights of the API key can't be fetched and is unknown" in first.stderr
    assert (blocked.exit_code, still.exit_code) == (78, 78), output_of(still)
    assert kraken.count("GetApiKeyInfo") == 3


@pytest.mark.usefixtures("bent_time")
def test_a_key_that_was_corrected_or_replaced_buys_again(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.add("withdraw-funds")
    refused = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.key.permissions.discard("withdraw-funds")
    same_day = live.run("buy", "BTC/USD", "100", "--yes")
    live.run("doctor")

    after_doctor = live.run("buy", "BTC/USD", "100", "--yes")

    assert [run.exit_code for run in (refused, same_day, after_doctor)] == [78, 78, 0], output_of(after_doctor)


def test_what_another_key_may_do_says_nothing_about_this_one(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.add("withdraw-funds")
    live.run("buy", "BTC/USD", "100", "--yes")
    kraken.key.permissions.discard("withdraw-funds")
    kraken.key.public = "another-fake-key"
    live.set(KRAKEN_API_KEY="another-fake-key")
    kraken.fault("GetApiKeyInfo", "html")  # what the other one could is not known of this one

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, output_of(run)
