"""`botctl` alone: where it is, how it stands and what to do next, on a broken machine too."""

import re

import pytest

from tests.bot_runner import BotRunner, Run
from tests.cli.assertions import files_in
from tests.fake_kraken import FakeKraken
from tests.sessions import on_terminal

RED = "\x1b[31m"


def commands_of(run: Run) -> list[str]:
    """The commands of the last part, without the word botctl."""
    return re.findall(r"^  botctl (.*?)  ", run.stdout.split("Next:")[1], re.MULTILINE)


def test_a_newcomer_is_shown_four_commands_and_nothing_is_written(
    bot: BotRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bot.home)
    bot.unset("BOTCTL_HOME", "BOTCTL_MODE")

    run = bot.run()

    assert (run.exit_code, run.stderr) == (0, "")
    assert commands_of(run) == ["demo", "tick", "init --mode paper", "help"]
    assert f" mode demo home {bot.home} " in " ".join(run.stdout.split())
    assert files_in(bot.home) == {}


def test_every_command_of_the_first_screen_exists(bot: BotRunner) -> None:
    for words in [*commands_of(bot.run()), *commands_of(_after_a_tick(bot))]:
        assert bot.run(*words.split(), "--help").exit_code == 0, words


def _after_a_tick(bot: BotRunner) -> Run:
    assert bot.run("tick").exit_code == 0
    return bot.run()


def test_an_owner_sees_the_account_the_switch_and_the_last_tick(bot: BotRunner) -> None:
    run = _after_a_tick(bot)

    assert re.search(
        r"^account +1 open position, equity 9,999\.14 USD, 0\.01 % below the start$", run.stdout, re.MULTILINE
    )
    assert re.search(r"^switch +on: each tick may buy and sell$", run.stdout, re.MULTILINE)
    assert re.search(r"^last tick +2025-01-03 02:15 UTC, ok$", run.stdout, re.MULTILINE)
    assert "Nothing needs your attention." in run.stdout
    assert [line for line in run.stdout.splitlines() if len(line) > 80 and str(bot.home) not in line] == []


def test_a_pause_and_a_freeze_are_told_apart(bot: BotRunner) -> None:
    bot.run("tick")
    bot.run("pause", "--reason", "on holiday")
    paused = bot.run().stdout
    bot.run("pause", "--freeze")
    frozen = " ".join(bot.run().stdout.split())

    assert "paused (on holiday): nothing is bought; each tick checks the stops" in paused
    assert "frozen: nothing is bought, and no stop is checked" in frozen.replace(" (on holiday)", "")
    assert "1 open position is NOT guarded, since botctl is frozen" in frozen.split("Needs your attention:")[1]


def test_what_is_wrong_needs_attention(bot: BotRunner) -> None:
    bot.run("tick")
    bot.set(TRADE_AMOUNT_USD="much", EXCHANGE_STOP="on")
    steps = '[{"name": "look", "ok": false, "detail": "Kraken is away"}]'
    bot.execute(f"UPDATE tick SET ok = {'false' if bot.server else 0}, steps = '{steps}'")
    bot.execute("UPDATE \"order\" SET state = 'UNKNOWN'")

    told = " ".join(bot.run().stdout.split("Needs your attention:")[1].split())

    assert "the last tick failed: look: Kraken is away" in told
    assert "orders of unknown outcome: 1" in told
    assert "BTC/USD (trade 1) has no stop resting at Kraken" in told
    assert "TRADE_AMOUNT_USD='much'" in told


@pytest.mark.sqlite
@pytest.mark.parametrize("broken", ["database", "settings", "home"])
def test_a_broken_machine_is_one_line_of_the_first_screen(bot: BotRunner, broken: str) -> None:
    bot.run("tick")
    if broken == "database":
        bot.database.write_bytes(b"x" * 5000)
    elif broken == "settings":
        (bot.home / ".env").write_text("BOTCTL_MOD=live\n")
    else:
        bot.set(BOTCTL_HOME=str(bot.home / "gone"))

    run = bot.run()

    assert run.exit_code == 0
    assert run.stdout.count("\n  - ") == 1
    assert {"database": "is damaged", "settings": "BOTCTL_MOD", "home": "does not exist"}[broken] in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
    assert "doctor" in commands_of(run)


def test_a_switch_that_is_on_buys_nothing_without_live_trading(live: BotRunner) -> None:
    told = []
    for enabled in ("yes", "no"):
        live.set(LIVE_TRADING=enabled)
        told += re.findall(r"^switch +(.*)$", live.run().stdout, re.MULTILINE)

    assert told == [
        "on: each tick may buy and sell",
        "on, without buys (LIVE_TRADING is no): each tick checks the stops",
    ]


def test_live_is_red_on_a_terminal_and_only_there(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.clear_requests()

    assert f"{RED}\x1b[1mlive\x1b" in on_terminal([], colours=True).stdout
    assert "live" in live.run().stdout
    assert "\x1b" not in live.run().stdout
    assert kraken.count("*") == 0
