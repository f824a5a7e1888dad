"""The tables of what may be broken, in docs/RELIABILITY.md: each row is played, and is true."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from botctl.scheduling.crontab import find_manual_ticks
from tests.bot_runner import PROJECT, BotRunner
from tests.broken_world import CONDITIONS
from tests.fake_kraken import FakeKraken
from tests.listener import Listener
from tests.poor_machine import (
    INTERRUPTED_LATER,
    NOBODY,
    STRANGER,
    Child,
    Condition,
    Fork,
    arguments_of,
    give_home_to,
    read_table,
)
from tests.quick import parametrize
from tests.scenarios.steps import buy, output_of, sides, trade_of
from tests.shelf import shelf

TABLE = read_table()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that other users may pass through. pytest closes the folder of all of its own to them, whenever another
    run of it begins: also while a test here runs as another user."""
    with TemporaryDirectory(prefix="tests-of-other-users-", dir=shelf()) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def promises() -> Iterator[Any]:
    """Each command of each row. Of the rows that start a Python for each, every other command is soak, by turns."""
    for number, row in enumerate(TABLE.values()):
        condition = CONDITIONS.get(row.condition, Condition(quick=0))
        for place, command in enumerate(row.exit_codes):
            marks = [] if place < min(condition.quick, 1) else [pytest.mark.long]
            if marks and isinstance(condition.start, Child) and (number + place) % 2:
                marks = [pytest.mark.soak]
            if "hangs" in row.condition:
                marks.append(pytest.mark.waits(30))
            yield pytest.param(row.condition, command, id=f"{row.condition}: {command}", marks=marks)


def test_each_row_is_played() -> None:
    assert list(TABLE) == list(CONDITIONS)


@pytest.mark.sqlite("its homes, files and disks are those of a SQLite database")
@pytest.mark.parametrize(("condition", "command"), list(promises()))
def test_what_works_is_said_and_ends_so(live: BotRunner, kraken: FakeKraken, condition: str, command: str) -> None:
    row, played = TABLE[condition], CONDITIONS[condition]
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    played.spoil(live, kraken)

    run = played.start(live, arguments_of(command))

    assert run.exit_code == row.exit_codes[command], output_of(run)
    for words in row.said[command]:
        assert words in run.stderr, output_of(run)
    if not row.said[command]:
        assert run.stderr == ""
    assert not any(word in output_of(run) for word in ("Traceback", "bug:")), output_of(run)
    assert run.exit_code != 69 or len(run.stderr.splitlines()) == 1, output_of(run)
    (live.home / ".env").unlink(missing_ok=True)
    played.mend(live)
    assert did_its_work(live, kraken, command) == (command in row.works), output_of(run)


def did_its_work(live: BotRunner, kraken: FakeKraken, command: str) -> bool:
    """Whether the position was sold (by a tick: at its stop), the pause is kept, or something was bought."""
    sold = [order.symbol for order in kraken.orders if order.side == "sell"]
    if command == "buy":
        return sides(kraken) == ["buy", "buy"]
    if command.startswith("pause"):
        assert not sold
        status = live.json("status")
        return bool(status["frozen"] if "--freeze" in command else status["system_status"] == "PAUSED")
    trade = trade_of(live)
    assert sold == (["BTC/USD"] if trade["status"] == "CLOSED" else [])
    assert not sold or command != "tick" or trade["exit_reason"] == "STOP_LOSS"
    return bool(sold)


@pytest.mark.sqlite("the lock of a file")
def test_two_names_of_one_database_have_one_lock(live: BotRunner, home: Path, tmp_path: Path) -> None:
    """Else two runs could sell the same coins."""
    (tmp_path / "link").symlink_to(home)
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "data" / "live.db").symlink_to(live.database)

    with live.where.lock(0):
        for name in (tmp_path / "link", other):
            live.set(BOTCTL_HOME=str(name))
            assert live.run("tick").exit_code == 75, name


@pytest.mark.sqlite("a database on a server does not depend on the home")
def test_the_real_path_is_the_name_of_a_home(live: BotRunner, home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    shown = live.json("schedule", "show", "--systemd")

    live.set(BOTCTL_HOME=str(tmp_path / "link"))

    assert live.json("schedule", "show", "--systemd") == shown
    assert shown["home"] == str(home)
    assert {row["name"]: row["value"] for row in live.json("config", "show")}["BOTCTL_HOME"] == str(home)


def test_a_crontab_line_that_reaches_the_home_by_a_link_is_found(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    line = f"*/15 * * * * cd '{tmp_path}/link' && botctl tick"

    assert find_manual_ticks(f"{line}\n", str(home)) == [line]
    assert find_manual_ticks(f"{line}\n", str(tmp_path / "other")) == []


@pytest.mark.sqlite("a home of another owner")
def test_a_folder_of_the_database_that_this_user_may_not_enter_is_named(live: BotRunner) -> None:
    give_home_to(live, NOBODY)
    (live.home / "data").chmod(0o700)
    os.chown(live.home / "data", 0, 0)

    runs = [Fork()(live, arguments_of(command)) for command in ("tick", "pause", "status")]

    assert [run.exit_code for run in runs] == [78, 1, 78]
    for run in runs:
        assert f"{live.database}" in run.stderr, output_of(run)
        assert "Permission denied" in run.stderr, output_of(run)


@pytest.mark.sqlite("a database on a server is not moved away")
def test_a_pause_without_a_database_says_that_nothing_is_paused(live: BotRunner) -> None:
    live.database.unlink()

    run = live.run("pause")

    assert run.exit_code == 78
    assert run.stderr.startswith(f"botctl: NOT PAUSED: there is no live database at {live.database}")


@pytest.mark.sqlite("the heartbeat does not depend on the database")
def test_without_threads_the_heartbeat_is_told_the_end(live: BotRunner, listener: Listener) -> None:
    give_home_to(live, NOBODY)
    live.set(HEALTHCHECK_URL=f"http://{listener.address}/ping")

    run = Fork(processes=0)(live, ("tick",))

    assert run.exit_code == 0, output_of(run)
    assert listener.paths == ["/ping"]


@parametrize("inside", ["exec('os.kill(os.getpid(), signal.SIGINT)')", "lost = Lost(); del lost"], quick=1)
def test_ctrl_c_ends_a_run_with_130_wherever_it_arrives(live: BotRunner, inside: str) -> None:
    """Python ends by the signal itself after one inside an eval, and drops one inside a callback."""
    run = Child(shim=INTERRUPTED_LATER.format(inside=inside))(live, ("tick",))

    assert (run.exit_code, run.stdout) == (130, "")
    assert run.stderr == "botctl: interrupted: the next run settles unfinished orders\n"


@pytest.mark.long
def test_without_stdin_nothing_is_confirmed(live: BotRunner) -> None:
    run = Child(shell="exec BOTCTL <&-")(live, ("liquidate",))

    assert run.exit_code == 2
    assert "no terminal to ask on: add --yes" in run.stderr


@pytest.mark.sqlite("the homes of users do not depend on the database")
@pytest.mark.parametrize(("command", "exit_code"), [("schedule show --systemd", 78), ("doctor", 0)])
def test_a_user_without_an_entry_and_a_home_is_told_so(
    live: BotRunner, monkeypatch: pytest.MonkeyPatch, command: str, exit_code: int
) -> None:
    """As in a container that runs as any number."""
    give_home_to(live, STRANGER)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    run = Fork(user=STRANGER)(live, tuple(command.split()))

    assert run.exit_code == exit_code, output_of(run)
    assert "bug" not in output_of(run)
    assert ("no home folder" in run.stderr) == ("--systemd" in command)


@pytest.mark.long
def test_without_a_place_for_compiled_code_it_is_compiled_anew_and_that_is_said(home: Path) -> None:
    """numba itself refuses to compile what it can't keep."""
    script = "from botctl.backtesting.jit import compiled; compiled()"
    environment = {"HOME": "/proc/nowhere", "PYTHONPATH": str(PROJECT)}

    done = subprocess.run([sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")
    assert "can't write /proc/nowhere/.cache" in done.stderr
    assert "each run compiles again" in done.stderr
