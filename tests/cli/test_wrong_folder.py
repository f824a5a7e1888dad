"""A command in a folder that nothing names: it is the demo, says so, and touches nothing that is not there."""

from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, files_in
from tests.quick import parametrize


@pytest.fixture
def lost(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a .env, and an environment without a setting."""
    bot.unset("BOTCTL_MODE", "BOTCTL_HOME", "DATABASE_URL")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.sqlite("a database on a server is named by the environment")
@pytest.mark.parametrize(
    "command", ["pause", "resume", "liquidate --yes", "sell BTC/USD", "recover", "schedule install"]
)
def test_what_acts_does_nothing_there_and_says_where_it_looked(bot: BotRunner, lost: Path, command: str) -> None:
    check_error(bot.run(*command.split()), 78, str(lost), "BOTCTL_HOME")

    assert files_in(lost) == {}


@pytest.mark.sqlite("a database on a server is named by the environment")
@parametrize(
    "command",
    ["status", "positions", "trades", "orders", "log", "why BTC/USD", "balance", "doctor", "drawdown --check"],
    quick=3,
)
def test_what_only_looks_creates_nothing_and_says_so(bot: BotRunner, lost: Path, command: str) -> None:
    run = bot.run(*command.split())

    assert run.exit_code == 0, run.stderr
    assert f"this is an empty demo in {lost}: no database" in run.stderr
    assert list(lost.iterdir()) == []


@pytest.mark.sqlite("a database on a server is named by the environment")
def test_a_migration_of_nothing_creates_nothing(bot: BotRunner, lost: Path) -> None:
    assert bot.run("db", "migrate").exit_code == 78

    assert list(lost.iterdir()) == []


@pytest.mark.sqlite("a database on a server is named by the environment")
def test_a_demo_that_is_there_can_be_paused_and_is_named(bot: BotRunner, lost: Path) -> None:
    bot.run("tick")

    run = bot.run("pause")

    assert run.exit_code == 0, run.stderr
    assert f"this is the demo in {lost}" in run.stderr
    assert bot.json("status")["system_status"] == "PAUSED"


@pytest.mark.parametrize("command", ["status", "tick", "pause", "config show"])
def test_a_home_that_is_not_there_is_a_mistake(bot: BotRunner, tmp_path: Path, command: str) -> None:
    bot.set(BOTCTL_HOME=str(tmp_path / "typo"))

    run = bot.run(*command.split())

    check_error(run, 78, f"BOTCTL_HOME {tmp_path / 'typo'} does not exist")
    assert not (tmp_path / "typo").exists()


@pytest.mark.sqlite("the file is beside a database on this machine")
def test_halt_in_the_home_pauses_wherever_the_database_is(bot: BotRunner, home: Path, tmp_path: Path) -> None:
    bot.set(DATABASE_URL=f"sqlite:///{tmp_path}/elsewhere.db")
    bot.run("tick")
    (home / "data").mkdir()
    (home / "data" / "HALT").touch()

    paused = bot.json("status")
    (home / "data" / "HALT").unlink()
    tmp_path.joinpath("HALT").touch()

    assert paused["system_status"] == bot.json("status")["system_status"] == "PAUSED"
