"""`botctl init` on a terminal: it asks for what a new home needs, checks the key with Kraken, and shows no secret."""

import os
import pty
import re
import select
from collections.abc import Sequence

import pytest

from botctl.domain.configuration.example import example_env
from botctl.domain.configuration.settings import Mode
from tests.bot_runner import BotRunner
from tests.cli.assertions import files_in
from tests.cli.test_output import on_terminal
from tests.fake_kraken import FakeKraken
from tests.forked import ForkedRun
from tests.quick import parametrize

SECONDS = 30
"""Without a word for so long, it waits for an answer that nobody gives."""

type Talk = Sequence[tuple[str, str]]
"""What it asks, and what is typed then."""
PAPER: Talk = [("Mode [", "paper"), ("What to trade", "BTC/USD"), ("Cost of one entry", "")]
LIVE: Talk = [("Mode [", "live"), ("What to trade", ""), ("Cost of one entry", "25")]


@pytest.fixture
def fresh(bot: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A home without any setting, on a machine that reaches Kraken."""
    bot.unset("SENTIMENT_URL", "BOTCTL_MODE")
    bot.set(KRAKEN_API_URL=kraken.url)
    return bot


def talk(bot: BotRunner, *arguments: str, answers: Talk) -> tuple[int | None, str]:
    """Type each answer once its question is there; at the end close the terminal's input. The exit code, and all that
    the terminal has shown."""
    ours, theirs = pty.openpty()
    process = ForkedRun(bot.home, arguments, theirs)
    os.close(theirs)
    said, seen = "", 0
    waiting = [*answers]
    try:
        while select.select([ours], [], [], SECONDS)[0] and (piece := os.read(ours, 65536)):
            said += piece.decode()
            while waiting and (place := said.find(waiting[0][0], seen)) >= 0 and said.rstrip(" ").endswith(":"):
                seen = place + len(waiting[0][0])
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    except OSError:  # the other end has closed
        pass
    os.close(ours)
    process.wait()
    assert not waiting, said
    return process.returncode, said


def settings_of(bot: BotRunner) -> dict[str, str]:
    lines = (bot.home / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_paper_money_needs_a_mode_symbols_and_an_amount(fresh: BotRunner) -> None:
    code, said = talk(fresh, "init", answers=PAPER)

    assert code == 0, said
    assert (fresh.home / ".env").read_text() == example_env(Mode.PAPER, {"SYMBOLS": "BTC/USD"})
    assert fresh.json("status")["mode"] == "paper"


def test_real_money_needs_a_key_which_is_hidden_and_checked_at_once(fresh: BotRunner, kraken: FakeKraken) -> None:
    keys = [("API key", kraken.api_key), ("Private key", kraken.secret)]

    code, said = talk(fresh, "init", answers=[*LIVE, *keys, ("is measured from it [10000.00]", "")])

    assert code == 0, said
    assert "ok: may query and trade, may not withdraw" in said
    assert kraken.api_key not in said
    assert kraken.secret not in said
    written = settings_of(fresh)
    assert (written["KRAKEN_API_KEY"], written["KRAKEN_PRIVATE_KEY"]) == (kraken.api_key, kraken.secret)
    assert (written["INITIAL_BALANCE"], written["TRADE_AMOUNT_USD"]) == ("10000.00", "25")
    assert (written["LIVE_TRADING"], written["EXCHANGE_STOP"]) == ("no", "on")
    assert "into the settings" not in said
    assert fresh.run("balance").exit_code == 0


def test_wrong_answers_are_asked_for_again(fresh: BotRunner, kraken: FakeKraken) -> None:
    answers = [
        ("Mode [", "real"),
        ("Mode [", "live"),
        ("What to trade", "BTC/XYZ"),
        ("What to trade", "abc"),
        ("What to trade", "btc, ETHUSD,XBTUSD"),
        ("Cost of one entry", "much"),
        ("Cost of one entry", "25"),
        ("API key", "wrong" * 8),
        ("Private key", kraken.secret),
        ("API key", kraken.api_key),
        ("Private key", kraken.secret),
        ("is measured from", ""),
    ]

    code, said = talk(fresh, "init", answers=answers)

    assert code == 0, said
    assert "it must be demo, paper or live, not 'real'" in said
    assert "Kraken has no market BTC/XYZ" in said
    assert "'abc' is not one of the known symbols" in said
    assert "it must be a number above zero, not 'much'" in said
    assert settings_of(fresh)["SYMBOLS"] == "BTC/USD,ETH/USD"
    assert "Kraken does not take this key" in said
    assert settings_of(fresh)["KRAKEN_API_KEY"] == kraken.api_key


@pytest.mark.long
def test_a_key_that_may_withdraw_is_taken_only_by_a_word_more(fresh: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.add("withdraw-funds")
    keys = [("API key", kraken.api_key), ("Private key", kraken.secret)]

    code, said = talk(
        fresh, "init", answers=[*LIVE, *keys, ("anyway?", "n"), ("API key", ""), ("is measured from", "500")]
    )

    assert code == 0, said
    assert "the key may withdraw" in said
    assert "put KRAKEN_API_KEY and KRAKEN_PRIVATE_KEY into the settings" in " ".join(said.split())
    assert "KRAKEN_API_KEY" not in settings_of(fresh)


@pytest.mark.long
def test_what_the_environment_says_is_not_asked(fresh: BotRunner, kraken: FakeKraken) -> None:
    fresh.set(KRAKEN_API_KEY=kraken.api_key, KRAKEN_PRIVATE_KEY=kraken.secret, SYMBOLS="ETH/USD")

    code, said = talk(fresh, "init", answers=[LIVE[0], LIVE[2], ("is measured from", "500")])

    assert code == 0, said
    assert "API key" not in said


@pytest.mark.long
def test_without_kraken_the_answers_are_kept_and_doctor_checks_them_later(fresh: BotRunner, kraken: FakeKraken) -> None:
    kraken.stop()

    code, said = talk(fresh, "init", answers=PAPER)

    assert code == 0, said
    assert "the symbols could not be checked" in said


@parametrize("arguments", [("--yes",), ("--json",)], quick=1)
def test_yes_and_json_ask_nothing(fresh: BotRunner, arguments: tuple[str, ...]) -> None:
    said = on_terminal(fresh, "init", "--mode", "paper", *arguments)

    assert "Mode [" not in said
    assert (fresh.home / ".env").read_text() == example_env(Mode.PAPER)


def test_a_home_with_settings_is_asked_nothing(fresh: BotRunner) -> None:
    (fresh.home / ".env").write_text("BOTCTL_MODE=paper\n")
    (fresh.home / ".env").chmod(0o600)

    said = on_terminal(fresh, "init")

    assert ".env(kept)" in re.sub(r"\s", "", said)
    assert "What to trade" not in said


def test_who_gives_up_leaves_nothing_behind(fresh: BotRunner) -> None:
    code, said = talk(fresh, "init", answers=[*LIVE, ("API key", "\x04")])

    assert code != 0, said
    assert files_in(fresh.home) == {}
