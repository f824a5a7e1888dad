"""A tick ends before the next one is due: entries and look-ups are left to it, and no exit ever is."""

import os
import time
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import QUARTER, buy, council_program, council_says, output_of, sides, stopped_clock, trade_of
from tests.scenarios.test_council import install_agent

pytestmark = pytest.mark.waits
SECONDS = 2


@pytest.fixture
def hurried(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """Live mode whose ticks have so many seconds, on two symbols."""
    kraken.set_price("ETH/USD", 2000)
    kraken.flat_candles("ETH/USD", 2000, 20)
    live.set(SYMBOLS="BTC/USD,ETH/USD", TICK_TIMEOUT=str(SECONDS))
    return live


def use_up_the_time(kraken: FakeKraken) -> None:
    """The prices of the next tick come when its time is over, and are good."""
    kraken.fault("Ticker", "hang_after", seconds=SECONDS + 0.3)


def test_a_council_that_takes_too_long_is_ended_and_the_rest_is_left_to_the_next_tick(hurried: BotRunner) -> None:
    council_program(hurried, "time.sleep(25)")
    started = time.monotonic()

    run = hurried.run("tick", "--json")

    assert run.exit_code == 1, output_of(run)
    assert time.monotonic() - started < 15
    assert [row["symbol"] for row in run.json()["decisions"]] == ["BTC/USD"]
    assert run.json()["decisions"][0]["decision"] == "HOLD"
    assert any("did not decide on ETH/USD" in error for error in run.json()["errors"])


def test_the_program_of_a_council_that_is_ended_does_not_outlive_it(hurried: BotRunner, home: Path) -> None:
    hurried.set(TICK_TIMEOUT="3")
    council_program(hurried, "open('pid', 'w').write(str(os.getpid()))", "time.sleep(50)")

    hurried.fork_to_its_end("tick")

    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)


def test_candles_that_do_not_come_hold_nobody_up(hurried: BotRunner, kraken: FakeKraken) -> None:
    hurried.set(COUNCIL="technical")
    hurried.run("tick")  # loads what it needs
    kraken.fault("OHLC", "hang_after", times=9, seconds=60)
    started = time.monotonic()

    run = hurried.run("tick", "--json")

    assert run.exit_code in (1, 69)
    assert time.monotonic() - started < 15
    assert any("time limit" in error for error in run.json()["errors"])


def test_agents_that_never_answer_are_ended_one_after_the_other(
    hurried: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("deaf", "stubborn"):
        install_agent(tmp_path, name, "import time; time.sleep(40)")
    monkeypatch.syspath_prepend(str(tmp_path))
    hurried.set(COUNCIL="deaf,stubborn")
    started = time.monotonic()

    run = hurried.run("tick", "--json")

    assert run.exit_code == 1, output_of(run)
    assert time.monotonic() - started < 20
    assert run.json()["decisions"][0]["decision"] == "HOLD"


def test_what_was_decided_too_late_is_not_bought(hurried: BotRunner, kraken: FakeKraken) -> None:
    council_says(hurried, "BUY", "if 'ETH' in asked: time.sleep(25)")

    run = hurried.run("tick", "--json")

    assert run.exit_code == 1, output_of(run)
    assert [row["outcome"] for row in run.json()["decisions"]] == ["not bought: the tick's time was over", ""]
    assert kraken.orders == []


def test_what_was_decided_too_late_is_sold_all_the_same(hurried: BotRunner, kraken: FakeKraken) -> None:
    buy(hurried)
    council_says(hurried, "SELL", "if 'ETH' in asked: time.sleep(25)")

    hurried.run("tick")

    assert sides(kraken) == ["buy", "sell"]
    assert trade_of(hurried)["exit_reason"] == "COUNCIL"


def test_stops_that_are_hit_are_sold_when_the_time_is_over(hurried: BotRunner, kraken: FakeKraken) -> None:
    for symbol in ("BTC/USD", "ETH/USD"):
        buy(hurried, symbol)
    kraken.set_price("BTC/USD", 40000)
    kraken.set_price("ETH/USD", 1500)
    use_up_the_time(kraken)

    run = hurried.run("tick", "--json")

    assert run.exit_code == 1, output_of(run)
    assert [trade["exit_reason"] for trade in hurried.trades()] == ["STOP_LOSS", "STOP_LOSS"]
    assert any("did not decide on BTC/USD, ETH/USD" in error for error in run.json()["errors"])


def test_missed_closes_are_left_to_the_next_tick_and_stops_are_not(hurried: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        for symbol in ("BTC/USD", "ETH/USD"):
            buy(hurried, symbol)
        clock.tick(5 * QUARTER)
        kraken.set_price("BTC/USD", 53000)
        kraken.set_price("ETH/USD", 1500)
        use_up_the_time(kraken)
        cut = hurried.run("tick", "--json")
        after_cut = trade_of(hurried, "BTC/USD")
        hurried.unset("TICK_TIMEOUT")
        whole = hurried.run("check-positions")

        assert cut.exit_code == 1, output_of(cut)
        assert any("closes that trade 1 (BTC/USD) missed" in error for error in cut.json()["errors"])
        assert trade_of(hurried, "ETH/USD")["exit_reason"] == "STOP_LOSS"
        assert after_cut["stop_loss_price"] == "49000.0"
        assert whole.exit_code == 0, output_of(whole)
        assert trade_of(hurried, "BTC/USD")["stop_loss_price"] == "52000.0"


def test_only_ticks_are_limited(hurried: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(hurried)
        clock.tick(5 * QUARTER)
        use_up_the_time(kraken)

        run = hurried.run("check-positions")

        assert run.exit_code == 0, output_of(run)


def test_the_demo_has_time_without_end(bot: BotRunner) -> None:
    bot.set(TICK_TIMEOUT="1")
    council_program(bot, "time.sleep(0.7)", "print(json.dumps({'decision': 'HOLD', 'reason': 'slowly'}))")

    run = bot.run("tick", "--json")

    assert run.exit_code == 0, output_of(run)
    assert len(run.json()["decisions"]) == 2
