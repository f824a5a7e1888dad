"""Wrong settings: what an exit does not need keeps no exit back, buys wait, and the run says so."""

import os
from collections.abc import Callable

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, requested_endpoints, sides, trade_of


def dot_env(text: str, bits: int = 0o600) -> Callable[[BotRunner], None]:
    def write(live: BotRunner) -> None:
        path = live.home / ".env"
        path.write_text(text)
        path.chmod(bits)

    return write


HARMLESS: dict[str, Callable[[BotRunner], None]] = {
    "a misspelled setting": dot_env("MAX_DRAWDWN=0.1\n"),
    "a setting of a stranger": dot_env("BOTCTL_COLOUR=blue\n"),
    "a setting twice": dot_env("SYMBOLS=BTC/USD\nSYMBOLS=ETH/USD\n"),
    "a quote that takes in a line": dot_env('COUNCIL="technical\nMAX_DRAWDOWN=0.1\nLOG_LEVEL="INFO"\n'),
    "keys that others can read": dot_env("LOG_LEVEL=INFO\n", 0o644),
    "a wrong value": lambda live: live.set(MAX_DRAWDOWN="20%"),
    "an address of nothing": lambda live: live.set(NOTIFY_URLS="@alice, json://127.0.0.1:9/"),
    "no symbols": lambda live: live.set(SYMBOLS="BTC"),
    "no initial balance": lambda live: live.unset("INITIAL_BALANCE"),
    "a log that is a pipe nobody reads": lambda live: (os.mkfifo(live.home / "pipe"), live.set(LOG_FILE="pipe"))[1],
    "a line without a value": dot_env("MAX_DRAWDOWN\n"),
    "a name of a stranger twice": dot_env("MODEL_KEY=a\nMODEL_KEY=b\n"),
    "a name in lower case": dot_env("max_drawdown=0.1\n"),
    "a log in a folder that is gone": lambda live: live.set(LOG_FILE="/proc/nowhere/bot.log"),
}
FATAL: dict[str, Callable[[BotRunner], None]] = {
    "a misspelled mode": dot_env("BOTCTL_MOD=paper\n"),
    "a misspelled key": dot_env("KRAKEN_API_KEI=other\n"),
    "a misspelled address": dot_env("KRAKEN_API_ULR=https://example.org\n"),
    "a database in lower case": dot_env("database_url=sqlite:///other.db\n"),
    "a key in lower case": dot_env("kraken_api_key=other\n"),
    "an unknown name of ours in lower case": dot_env("kraken_api_kex=other\n"),
    "a database twice, once in lower case": dot_env("DATABASE_URL=sqlite:///a.db\ndatabase_url=sqlite:///b.db\n"),
    "a mode twice": dot_env("BOTCTL_MODE=live\nBOTCTL_MODE=live\n"),
    "a mode without a value": dot_env("BOTCTL_MODE live\n"),
    "a database that can't be one": lambda live: live.set(DATABASE_URL="mysql://host/bot"),
}


@parametrize("spoil", HARMLESS.values(), quick=2, ids=HARMLESS)
def test_a_tick_sells_a_hit_stop_buys_nothing_and_ends_with_78(
    live: BotRunner, kraken: FakeKraken, spoil: Callable[[BotRunner], None]
) -> None:
    live.set(SYMBOLS="ETH/USD")
    buy(live)
    council_says(live, "BUY")
    kraken.set_price("BTC/USD", 48999)

    spoil(live)
    run = live.run("tick")

    assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)
    assert sides(kraken) == ["buy", "sell"]
    assert run.exit_code == 78, output_of(run)
    assert "nothing is bought" in run.stderr


@parametrize("command", ["sell BTC/USD --yes", "liquidate --yes", "check-positions"], quick=2)
def test_a_command_by_hand_does_its_work_warns_and_ends_with_its_own_code(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    HARMLESS["a misspelled setting"](live)

    run = live.run(*command.split())

    assert run.exit_code == 0, output_of(run)
    assert run.stderr.count("MAX_DRAWDWN") == 1
    assert sides(kraken) == ["buy", "sell"]


def test_a_buy_by_hand_is_refused(live: BotRunner, kraken: FakeKraken) -> None:
    HARMLESS["a wrong value"](live)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 78
    assert "MAX_DRAWDOWN='20%'" in run.stderr
    assert requested_endpoints(kraken) == []


@pytest.mark.parametrize("spoil", FATAL.values(), ids=FATAL)
def test_nothing_goes_on_while_it_is_not_clear_whose_money_it_is(
    live: BotRunner, kraken: FakeKraken, spoil: Callable[[BotRunner], None]
) -> None:
    spoil(live)

    assert [live.run(command).exit_code for command in ("tick", "pause", "check-positions")] == [78, 78, 78]
    assert requested_endpoints(kraken) == []


def test_a_key_that_is_none_keeps_nobody_from_pausing(live: BotRunner) -> None:
    live.set(KRAKEN_PRIVATE_KEY="not base64!")

    assert (live.run("pause").exit_code, live.run("tick").exit_code) == (0, 78)


def test_the_guard_goes_on_with_the_last_good_limit(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(MAX_DRAWDOWN="0.5", INITIAL_BALANCE="20000", SYMBOLS="ETH/USD")  # the account holds half of it
    live.set(MAX_DRAWDOWN="0.6")
    live.run("tick")
    live.set(MAX_DRAWDOWN="half")
    live.unset("INITIAL_BALANCE")

    run = live.run("tick", "--json")

    assert run.exit_code == 78, output_of(run)
    assert run.json()["drawdown"] == "0.5000"
    assert "MAX_DRAWDOWN: 0.6 is used, as at the last good tick" in run.stderr
    assert live.json("status")["tripped_at"] is None


def test_a_wrong_initial_balance_is_said_once(live: BotRunner) -> None:
    live.set(INITIAL_BALANCE="ten thousand")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert run.stderr.count("error: settings:") == 1


def test_without_any_initial_balance_the_drawdown_is_said_to_be_unguarded(live: BotRunner) -> None:
    live.unset("INITIAL_BALANCE")

    tick, drawdown = live.run("tick"), live.run("drawdown")

    assert (tick.exit_code, drawdown.exit_code) == (78, 78)
    assert "the drawdown is not guarded" in tick.stderr
    assert "the drawdown is not guarded" in drawdown.stderr
