"""Completion: processes of their own, asked as bash, zsh and fish ask them."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from botctl.store.models import Trade
from tests.bot_runner import PROJECT, BotRunner, Run
from tests.cli.assertions import files_in
from tests.forked import ForkedRun
from tests.quick import parametrize

from_the_file = pytest.mark.sqlite("nobody's Tab key waits for a server")
SHELLS = ("bash", "zsh", "fish")


def ask(shell: str, line: str, **settings: str) -> Run:
    """What a shell is told when Tab is pressed at the end of `line`."""
    words = line.split(" ")
    protocol = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_BOTCTL_COMPLETE": f"complete_{shell}", **protocol, **settings}.items():
            patch.setenv(name, value)
        return Run(*ForkedRun(Path.cwd() / "home", ()).wait())


def offers(shell: str, line: str, **settings: str) -> str:
    run = ask(shell, line, **settings)
    assert run.stderr == ""
    assert run.exit_code == 0
    return run.stdout


@parametrize("shell", SHELLS, quick=1)
def test_commands_are_offered(bot: BotRunner, shell: str) -> None:
    told = offers(shell, "botctl check-p")

    assert "check-positions" in told
    assert "liquidate" not in told


@parametrize("shell", SHELLS, quick=1)
def test_symbols_come_from_the_settings_and_the_database(veteran: BotRunner, shell: str) -> None:
    """From that of this machine: nobody's Tab key waits for a server."""
    veteran.home.joinpath(".env").write_text("SYMBOLS=ADA/USD,ADA/EUR\n")

    told = offers(shell, "botctl why ")

    for symbol in ("ADA/USD", "ADA/EUR"):
        assert symbol in told
    for symbol in ("BTC/USD", "ETH/USD"):
        assert (symbol in told) is (veteran.server is None)
    assert "BTC/USD" not in offers(shell, "botctl buy A")
    assert "ADA/EUR" in offers(shell, "botctl buy A")


@parametrize("line", ["botctl sell ", "botctl fetch BTC/USD ", "botctl log --symbol "], quick=1)
def test_symbols_are_offered_wherever_one_stands(bot: BotRunner, line: str) -> None:
    assert "ETH/USD" in offers("bash", line)


@from_the_file
@parametrize("shell", SHELLS, quick=1)
def test_trades_are_offered_by_their_numbers(veteran: BotRunner, shell: str) -> None:
    told = offers(shell, "botctl explain ")

    for trade in veteran.trades():
        assert str(trade["id"]) in told
    assert "TRAILING" not in told
    assert ("BTC/USD CLOSED" in told) is (shell != "bash")


@parametrize("line", ["botctl explain ", "botctl why "], quick=1)
@parametrize("shell", SHELLS, quick=1)
def test_a_home_without_a_database_gets_none(bot: BotRunner, shell: str, line: str) -> None:
    offers(shell, line)

    assert files_in(bot.home) == {}


@from_the_file
def test_looking_changes_no_file_and_makes_none(veteran: BotRunner) -> None:
    veteran.home.joinpath(".env").write_text("LOG_FILE=log\n")
    before = files_in(veteran.home)

    assert "1" in offers("bash", "botctl explain ")

    assert files_in(veteran.home) == before


@from_the_file
def test_trades_that_are_not_in_the_main_file_yet_are_offered(veteran: BotRunner) -> None:
    number = max(trade["id"] for trade in veteran.trades()) + 1
    veteran.open_store()  # which keeps what is written beside the file
    Trade.insert(
        symbol="ADA/USD", asset="ADA", mode="demo", created_at=datetime.now(UTC), amount=Decimal(1), mark="x"
    ).execute()

    assert str(number) in offers("bash", "botctl explain ").split()


@parametrize("trouble", ["settings", "no database", "home"], quick=1)
@parametrize("shell", SHELLS, quick=1)
def test_trouble_means_no_offer_and_no_complaint(veteran: BotRunner, shell: str, trouble: str) -> None:
    settings = {
        "settings": {"MAX_DRAWDOWN": "20"},
        "no database": {"DATABASE_URL": "sqlite:////proc/nowhere/live.db"},
        "home": {"BOTCTL_HOME": "/proc/nowhere"},
    }[trouble]

    assert "CLOSED" not in offers(shell, "botctl explain ", **settings)
    assert ask(shell, "botctl why ", **settings).stderr == ""


@from_the_file
@parametrize("shell", SHELLS, quick=1)
def test_a_damaged_database_means_no_offer_and_no_complaint(veteran: BotRunner, shell: str) -> None:
    veteran.database.write_bytes(b"no database at all" * 1000)

    assert "CLOSED" not in offers(shell, "botctl explain ")
    assert ask(shell, "botctl why ").stderr == ""


@parametrize("shell", SHELLS, quick=1)
def test_the_script_for_a_shell_asks_in_that_way(bot: BotRunner, shell: str, tmp_path: Path) -> None:
    script = ask(shell, "", _BOTCTL_COMPLETE=f"source_{shell}")

    assert script.exit_code == 0
    assert f"_BOTCTL_COMPLETE=complete_{shell}" in script.stdout


def test_bash_completes_with_that_script(veteran: BotRunner, tmp_path: Path) -> None:
    """The whole way: the script is read by a real bash, whose completion function is called."""
    program = tmp_path / "botctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -W ignore -m botctl "$@"\n')
    program.chmod(0o755)
    script = ask("bash", "", _BOTCTL_COMPLETE="source_bash").stdout
    lines = [script, "COMP_WORDS=(botctl why B)", "COMP_CWORD=2", "COMP_LINE='botctl why B'"]
    lines += ["_botctl_completion botctl B why", 'echo "${COMPREPLY[@]}"']
    path = f"{tmp_path}:/usr/bin:/bin"

    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.split() == ["BTC/USD"], done.stderr
