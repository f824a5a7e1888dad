"""How a process starts and ends: light imports, quick answers, and a clean end in the middle of anything."""

import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.cli.help_lines import FILE, write_help_lines
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize

HEAVY = re.compile(r"\|\s+(ccxt|pandas|numba|pandas_ta|numpy|psycopg\.pq)(\.|\s*$)", re.MULTILINE)
LIGHT = ["pause", "status", "--help", "resume", "positions", "trades", "--version"]


@parametrize("command", LIGHT, quick=1)
def test_what_must_be_quick_imports_nothing_heavy(veteran: BotRunner, command: str) -> None:
    driver = {"psycopg.pq"} if veteran.server else set()

    assert {name for name, _ in HEAVY.findall(imported_by(veteran, "-m", "botctl", command))} <= driver


@parametrize("words", [(), ("--help",), ("help", "glossary")], quick=1)
def test_the_first_screen_and_help_load_nothing_heavy_and_no_rich(veteran: BotRunner, words: tuple[str, ...]) -> None:
    imported = imported_by(veteran, "-m", "botctl", *words)

    assert not re.search(r"\|\s+rich(\.|\s*$)", imported, re.MULTILINE)
    assert {name for name, _ in HEAVY.findall(imported)} <= ({"psycopg.pq"} if veteran.server else set())


def test_the_list_of_imports_would_show_something_heavy(veteran: BotRunner) -> None:
    assert HEAVY.search(imported_by(veteran, "-c", "import numpy"))
    assert "botctl.cli.app" in imported_by(veteran, "-m", "botctl", "status")


@pytest.mark.long
def test_quick_commands_take_less_than_three_times_their_two_libraries(veteran: BotRunner) -> None:
    yardstick = "import typer, peewee"
    commands = {name: ["-m", "botctl", *name.split()] for name in ("pause", "status", "--help", "")}  # "": alone
    taken: dict[str, list[float]] = {name: [] for name in (yardstick, *commands)}
    for _ in range(5):
        for name, arguments in {yardstick: ["-c", yardstick], **commands}.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=veteran.home)
            taken[name].append(time.perf_counter() - started)
    median = {name: statistics.median(times) for name, times in taken.items()}

    slow = {name: round(median[name] / median[yardstick], 2) for name in commands}
    assert max(slow.values()) < 3, slow


def test_what_ccxt_has_loaded_is_kept_from_the_garbage_collector() -> None:
    """It would look through all of that between a stop that is hit and its sell."""
    code = (
        "import gc; from botctl._fast_imports import import_kraken_alone as load; load(); print(len(gc.get_objects()))"
    )
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert int(left) < 1_000  # of 35,000


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """The lines stand apart from the commands, so that --help needs to load none of them."""
    assert FILE.read_text() == write_help_lines(), "run `python -m tests.cli.help_lines`"


@parametrize(("signal_number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], quick=1)
@parametrize("mode", ["demo", "live"], quick=1)
def test_a_signal_in_the_middle_of_a_tick_ends_it_cleanly(
    request: pytest.FixtureRequest, tmp_path: Path, mode: str, signal_number: int, exit_code: int
) -> None:
    bot: BotRunner = request.getfixturevalue("live" if mode == "live" else "bot")
    sign = tmp_path / "council-sits"
    bot.set(COUNCIL_COMMAND=f"sh -c 'echo $$ > {sign}; exec sleep 30'")
    process = bot.spawn("tick")
    child = wait_for_number(sign)
    time.sleep(0.3)  # by now the bot waits for the answer; the moment before has a test of its own

    started = time.monotonic()
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=60)

    assert time.monotonic() - started < 15  # the program would go on for 30 seconds
    assert process.returncode == exit_code
    assert out == ""
    assert err.startswith("botctl: interrupted")
    assert err.count("\n") == 1
    assert is_gone(child)
    assert bot.server or integrity_of(bot.database) == "ok"
    bot.unset("COUNCIL_COMMAND")
    assert bot.run("check-positions").exit_code == 0


@parametrize("name", ["TERM", "INT"], quick=1)
@parametrize("attempt", range(3), quick=1)
def test_a_signal_at_the_very_start_of_the_council_command_ends_that_too(
    bot: BotRunner, tmp_path: Path, name: str, attempt: int
) -> None:
    """The program itself interrupts the bot, which is perhaps not yet done starting it: hence several attempts."""
    sign = tmp_path / "council-sits"
    bot.set(COUNCIL_COMMAND=f"sh -c 'echo $$ > {sign}; kill -{name} $PPID; exec sleep 30 2>/dev/null'")
    process = bot.fork("tick")
    process.communicate(timeout=60)

    child = wait_for_number(sign)
    try:
        wait_until(lambda: is_gone(child), 10)
    finally:
        if not is_gone(child):
            os.kill(child, signal.SIGKILL)
    assert process.returncode == {"INT": 130, "TERM": 143}[name]


@parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], quick=1)
def test_a_signal_while_an_order_is_under_way_leaves_it_to_the_next_run(
    live: BotRunner, kraken: FakeKraken, signal_number: int
) -> None:
    kraken.fault("AddOrder", "hang_after", seconds=60)
    process = live.fork("buy", "BTC/USD", "100", "--yes")
    wait_until(lambda: len(kraken.orders) == 1)

    process.send_signal(signal_number)
    _, err = process.communicate(timeout=60)
    kraken.release()

    assert process.returncode == 128 + signal_number
    assert "Traceback" not in err
    assert live.orders()[0]["state"] in ("SUBMITTED", "UNKNOWN")
    assert live.run("check-positions").exit_code == 0
    assert [row["status"] for row in live.positions()] == ["OPEN"]
    assert len(kraken.orders) == 1


def test_the_lock_of_a_killed_run_is_free_at_once(bot: BotRunner, tmp_path: Path) -> None:
    sign = tmp_path / "council-sits"
    bot.set(COUNCIL_COMMAND=f"sh -c 'echo $$ > {sign}; exec sleep 30'")
    process = bot.fork("tick")
    child = wait_for_number(sign)
    second = bot.run("tick")
    process.kill()
    process.wait(10)

    bot.unset("COUNCIL_COMMAND")
    third = bot.run("tick")
    os.kill(child, signal.SIGKILL)

    assert (second.exit_code, second.stdout, second.stderr.count("\n")) == (75, "", 1)
    assert "another run" in second.stderr
    assert third.exit_code == 0


@pytest.mark.waits
def test_a_pause_while_the_council_sits_is_quick_and_stops_its_entries(bot: BotRunner, tmp_path: Path) -> None:
    sign, paused, program = tmp_path / "council-sits", tmp_path / "paused", tmp_path / "council"
    wait = f"echo $$ > {sign}; until [ -e {paused} ]; do sleep 0.05; done"
    program.write_text(f'#!/bin/sh\n{wait}; echo \'{{"decision": "BUY", "reason": "a test"}}\'\n')
    program.chmod(0o755)
    bot.set(COUNCIL_COMMAND=str(program))
    process = bot.fork("tick", "--json")
    wait_for_number(sign)

    pause = bot.run("pause")
    paused.touch()  # until here the council sits, and whoever waits for its tick waits in vain
    out, err = process.communicate(timeout=60)

    assert pause.exit_code == 0
    first, second = json.loads(out)["decisions"]
    assert first["decision"] == "BUY", err
    assert second["reason"].startswith("not asked: entries are paused")
    assert "paused" in out + err
    assert bot.trades() == []


def imported_by(bot: BotRunner, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        cwd=bot.home,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert run.returncode == 0, run.stderr[-500:]
    return run.stderr


def wait_until(come: object, seconds: float = 20) -> None:
    assert callable(come)
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def wait_for_number(path: Path) -> int:
    """The process id that a council command has written once it runs."""
    wait_until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    """A process that has ended may lie there as a zombie until somebody collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def integrity_of(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
