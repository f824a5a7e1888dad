"""Real money takes an explicit yes: without it live mode guards and sells, and buys nothing."""

from decimal import Decimal

import pytest

from botctl.config import load_config
from botctl.domain.errors import ConfigError
from botctl.wiring import open_bot
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of


@pytest.fixture
def silent(live: BotRunner) -> BotRunner:
    """Live mode whose owner has not said yes, or has taken it back, with a position from before."""
    buy(live)
    live.unset("LIVE_TRADING")
    return live


def test_a_buy_without_a_yes_sends_nothing_and_says_what_to_set(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(LIVE_TRADING="no")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 78
    assert "LIVE_TRADING=yes" in run.stderr
    assert kraken.orders == []


def test_a_buy_without_a_yes_is_refused_before_anybody_is_asked(live: BotRunner) -> None:
    live.set(LIVE_TRADING="no")

    assert live.run("buy", "BTC/USD", "100").exit_code == 78


def test_a_stop_sells_without_a_yes_and_the_tick_says_that_nothing_is_bought(
    silent: BotRunner, kraken: FakeKraken
) -> None:
    kraken.set_price("BTC/USD", 40000)

    run = silent.run("tick")

    assert run.exit_code == 78
    assert "LIVE_TRADING" in run.stderr
    assert trade_of(silent)["exit_reason"] == "STOP_LOSS"


def test_the_council_sells_without_a_yes_and_does_not_buy(silent: BotRunner, kraken: FakeKraken) -> None:
    council_says(silent, "SELL")
    sold = silent.run("tick")
    silent.set(COOLDOWN_MINUTES="0")
    council_says(silent, "BUY")

    run = silent.run("tick", "--json")

    assert trade_of(silent)["exit_reason"] == "COUNCIL", output_of(sold)
    assert run.exit_code == 78
    assert [row["reason"] for row in run.json()["decisions"]] == ["not asked: LIVE_TRADING is no"]
    assert sides(kraken) == ["buy", "sell"]


def test_a_tick_without_a_yes_says_so_when_nobody_wants_to_buy(silent: BotRunner) -> None:
    council_says(silent, "HOLD")

    assert silent.run("tick").exit_code == 78


def test_a_paused_tick_needs_no_yes(silent: BotRunner) -> None:
    silent.run("pause")

    assert silent.run("tick").exit_code == 0


@parametrize("way_out", [("sell", "BTC/USD", "--yes"), ("liquidate", "--yes")], quick=1)
def test_a_way_out_needs_no_yes(silent: BotRunner, way_out: tuple[str, ...]) -> None:
    run = silent.run(*way_out)

    assert run.exit_code == 0, output_of(run)
    assert trade_of(silent)["status"] == "CLOSED"


def test_a_rehearsal_needs_no_yes(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(LIVE_TRADING="no")
    council_says(live, "BUY")

    runs = [live.run("buy", "BTC/USD", "100", "--validate"), live.run("tick", "--validate")]

    assert [run.exit_code for run in runs] == [0, 0]
    assert kraken.orders == []


def test_the_doctor_misses_the_yes(live: BotRunner) -> None:
    live.set(LIVE_TRADING="no")

    run = live.run("doctor", "--json")

    failing = [line for line in run.json() if line["status"] == "fail"]
    assert [line["name"] for line in failing] == ["live trading"]
    assert run.exit_code == 1


def test_the_room_that_sends_orders_asks_for_the_yes_itself(live: BotRunner, kraken: FakeKraken) -> None:
    live.unset("LIVE_TRADING")

    with open_bot(load_config()) as bot, pytest.raises(ConfigError, match="LIVE_TRADING"):
        bot.execution.execute_buy("BTC/USD", Decimal(100))

    assert kraken.orders == []
