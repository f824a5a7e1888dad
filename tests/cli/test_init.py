"""The first command: it writes the settings and the database, for the owner's eyes alone, and overwrites nothing."""

import os
import re
import stat
from pathlib import Path

import pytest

from botctl.domain.configuration.example import example_env
from botctl.domain.configuration.settings import NAMES, Mode
from botctl.store.database import close_database
from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, files_in


@pytest.fixture
def fresh(bot: BotRunner) -> BotRunner:
    """A home where no setting of the tests themselves stands in the environment."""
    bot.unset("SENTIMENT_URL", "BOTCTL_MODE")
    return bot


def database_file(fresh: BotRunner, mode: str) -> list[str]:
    """The file that a home's database is, where it is one."""
    return [] if fresh.server else [f"data/{mode}.db"]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", ["demo", "paper", "live"])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_init_writes_is_for_the_owner_alone(fresh: BotRunner, mode: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        run = fresh.run("init", "--mode", mode)
    finally:
        os.umask(before)

    assert run.exit_code == 0, run.stderr
    assert mode_of(fresh.home / ".env") == 0o600
    assert fresh.server or mode_of(fresh.home / "data" / f"{mode}.db") == 0o600


def test_with_real_money_it_writes_resting_stops_and_their_reason(fresh: BotRunner) -> None:
    fresh.run("init", "--mode", "live")

    lines = (fresh.home / ".env").read_text().splitlines()
    place = lines.index("EXCHANGE_STOP=on")
    assert "while this machine is off, the stop at Kraken is all that guards a position" in lines[place - 2]
    assert "EXCHANGE_STOP=off" in example_env(Mode.PAPER)


@pytest.mark.sqlite("about the file")
def test_the_files_beside_an_open_database_are_for_the_owner_alone(bot: BotRunner) -> None:
    before = os.umask(0)
    try:
        bot.run("tick")
        bot.open_store()
        modes = {path.name: mode_of(path) for path in bot.database.parent.iterdir() if path.is_file()}
    finally:
        os.umask(before)
        close_database()

    assert modes == dict.fromkeys(("demo.db", "demo.db-wal", "demo.db-shm", "demo.db.lock"), 0o600)


def test_dot_env_has_every_setting_and_can_be_read_back(fresh: BotRunner) -> None:
    fresh.run("init", "--mode", "paper")

    text = (fresh.home / ".env").read_text()
    assert [name for name in NAMES if not re.search(rf"^#?{name}=", text, re.MULTILINE)] == []
    assert fresh.json("status")["mode"] == "paper"


def test_init_says_what_it_made_and_what_to_do_next(fresh: BotRunner) -> None:
    run = fresh.run("init")

    assert run.stdout.count("(created)") == 2
    assert "botctl tick" in run.stdout


def test_a_dot_env_that_is_there_is_kept_byte_by_byte(fresh: BotRunner) -> None:
    path = fresh.home / ".env"
    path.write_text("MAX_DRAWDOWN=0.1\n# mine\n")
    path.chmod(0o600)

    answer = fresh.json("init")

    assert path.read_text() == "MAX_DRAWDOWN=0.1\n# mine\n"
    assert answer["env_written"] is False
    assert answer["database_created"] is True


def test_a_second_init_changes_nothing(fresh: BotRunner) -> None:
    fresh.run("init")
    fresh.run("tick")
    before = files_in(fresh.home)

    answer = fresh.json("init")

    assert (answer["env_written"], answer["database_created"]) == (False, False)
    assert files_in(fresh.home) == before


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize("command", ["status", "pause", "trades", "tick"])
def test_a_live_database_is_made_by_init_alone(fresh: BotRunner, command: str) -> None:
    fresh.set(BOTCTL_MODE="live", KRAKEN_API_KEY="key", KRAKEN_PRIVATE_KEY="c2VjcmV0", INITIAL_BALANCE="1000")

    check_error(fresh.run(command), 78, str(fresh.where), "botctl init")
    assert files_in(fresh.home) == {}
    assert fresh.run("init").exit_code == 0

    run_files = {f"data/live.db{ending}" for ending in (".lock", ".last-run")}
    assert set(files_in(fresh.home)) - run_files == {".env", *database_file(fresh, "live")}
    assert fresh.run("status").exit_code == 0


def test_init_needs_no_keys_for_live_mode(fresh: BotRunner) -> None:
    run = fresh.run("init", "--mode", "live")

    assert run.exit_code == 0
    assert "KRAKEN_API_KEY" in run.stdout
    assert "BOTCTL_MODE=live" in (fresh.home / ".env").read_text()


def test_after_init_the_mode_stands_in_dot_env(fresh: BotRunner) -> None:
    fresh.run("init", "--mode", "paper")

    assert (fresh.home / ".env").read_text() == example_env(Mode.PAPER)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_where_prices_are_real_init_writes_signals_of_four_hours_and_why(fresh: BotRunner, mode: str) -> None:
    fresh.run("init", "--mode", mode)

    before, _, _ = (fresh.home / ".env").read_text().partition("SIGNAL_TIMEFRAME=4h\n")
    assert "loses before fees at 1h" in " ".join(before.splitlines()[-2:])


def test_init_with_another_mode_than_dot_env_says_so(fresh: BotRunner) -> None:
    fresh.run("init", "--mode", "demo")

    run = fresh.run("init", "--mode", "paper")

    check_error(run, 78, "BOTCTL_MODE", "paper")
    assert "BOTCTL_MODE=demo" in (fresh.home / ".env").read_text()


def test_init_makes_a_home_that_is_not_there(fresh: BotRunner, tmp_path: Path) -> None:
    fresh.set(BOTCTL_HOME=str(tmp_path / "new" / "home"))

    assert fresh.run("init").exit_code == 0

    assert set(files_in(tmp_path / "new" / "home")) == {".env", *database_file(fresh, "demo")}


def test_init_writes_the_env_file_it_was_told(fresh: BotRunner, tmp_path: Path) -> None:
    path = tmp_path / "bot.env"

    run = fresh.run("init", "--env-file", str(path), "--mode", "paper")

    assert run.exit_code == 0, run.stderr
    assert mode_of(path) == 0o600
    assert not (fresh.home / ".env").exists()
