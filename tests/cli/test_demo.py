"""The demo: everything happens on the synthetic tape, quickly, and nothing of it touches the user's own home."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from botctl.adapters.demo import POSITION_KEY, demo_data_folder
from botctl.store import key_value
from botctl.store.database import close_database
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import files_in
from tests.quick import parametrize


def test_the_first_tick_on_a_fresh_home_shows_an_entry(bot: BotRunner) -> None:
    run = bot.run("tick")

    assert run.exit_code == 0
    assert re.search(r"bought \d+\.\d+ BTC/USD at [\d,.]+, stop [\d,.]+", run.stdout)
    assert [trade["status"] for trade in bot.positions()] == ["OPEN"]


@parametrize("signals", ["4h", "1h"], quick=1)
def test_the_demo_begins_where_there_are_enough_candles_for_its_signals(bot: BotRunner, signals: str) -> None:
    bot.set(SIGNAL_TIMEFRAME=signals)

    first, second = bot.run("tick", "--json"), bot.run("tick", "--json")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "too few" not in str(first.json()["decisions"])
    assert [len(run.json()["decisions"]) for run in (first, second)] == [2, 0]


def test_signals_that_the_demo_is_too_short_for_are_named(bot: BotRunner) -> None:
    bot.set(SIGNAL_TIMEFRAME="1d")

    run = bot.run("tick")

    assert run.exit_code == 78
    assert "only 93 candles of 1d" in run.stderr
    assert "set a shorter SIGNAL_TIMEFRAME" in run.stderr


def test_the_first_tick_of_a_stranger_needs_no_setting_and_no_network(tmp_path: Path) -> None:
    run = subprocess.run(
        ["unshare", "--net", "--map-root-user", sys.executable, "-m", "botctl", "tick"]
        if can_cut_the_network()
        else [sys.executable, "-m", "botctl", "tick"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
    )

    assert run.returncode == 0, run.stderr
    assert "bought" in run.stdout


@pytest.mark.long
def test_500_ticks_show_all_that_can_happen_soon_enough_and_touch_nothing(home: Path) -> None:
    (home / ".env").write_text("BOTCTL_MODE=live\nMAX_DRAWDOWN=0.01\n")
    words = ["BTC/USD", "ETH/USD", "STOP_LOSS", "TRAILING_STOP", "COUNCIL", "HOLD", "BUY", "SELL", "500 ticks"]

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, "-m", "botctl", "demo", "--ticks", "500"],
        capture_output=True,
        text=True,
        cwd=home,
        timeout=300,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "BOTCTL_HOME": str(home)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # whoever else is busy here

    assert run.returncode == 0, run.stderr
    assert files_in(home) == {".env": b"BOTCTL_MODE=live\nMAX_DRAWDOWN=0.01\n"}
    assert re.sub(r"playing the tape|[\s━╸╺\d:%-]", "", run.stderr) == ""
    assert cpu_seconds < 20
    assert [word for word in words if word not in run.stdout] == []


def test_the_demo_leaves_no_folder_behind_and_the_home_as_it_was(bot: BotRunner, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    bot.set(TMPDIR=str(folder))
    (bot.home / ".env").write_text("BOTCTL_MODE=live\nMAX_DRAWDOWN=0.01\n")

    assert bot.fork_to_its_end("demo", "--ticks", "3", "--json").exit_code == 0

    assert list(folder.iterdir()) == []
    assert files_in(bot.home) == {".env": b"BOTCTL_MODE=live\nMAX_DRAWDOWN=0.01\n"}


@pytest.mark.long
def test_the_same_ticks_bring_the_same_trades(bot: BotRunner) -> None:
    first, second = bot.json("demo", "--ticks", "20"), bot.json("demo", "--ticks", "20")

    without_ids = [
        [{key: value for key, value in trade.items() if not key.endswith("order_id")} for trade in answer["trades"]]
        for answer in (first, second)
    ]
    assert without_ids[0] == without_ids[1]
    assert without_ids[0]
    assert first["equity"] == second["equity"]


def test_the_demo_is_what_ticking_brings(veteran: BotRunner) -> None:
    """The same ticks, one by one in a home and together in the demo, open and close the same trades."""
    shown = veteran.json("demo", "--ticks", "60")

    assert [(t["symbol"], t["entry_price"], t["exit_reason"], t["pnl"]) for t in shown["trades"]] == [
        (t["symbol"], t["entry_price"], t["exit_reason"], t["pnl"]) for t in veteran.trades()
    ]


@pytest.mark.long
def test_the_tape_is_what_its_script_makes() -> None:
    run = subprocess.run(
        [sys.executable, str(PROJECT / "data" / "make_tape.py"), "--check"], capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_the_end_of_the_tape_is_said_in_one_clear_line(bot: BotRunner) -> None:
    bot.run("tick")
    go_to_the_end(bot)
    last = bot.run("tick", "--json")
    rows = bot.trades()

    beyond = bot.run("tick")

    assert last.exit_code == 0
    assert beyond.exit_code == 3
    assert beyond.stdout == ""
    assert beyond.stderr.count("\n") == 1
    assert "delete the demo database to start again" in beyond.stderr
    assert "end" in beyond.stderr
    assert bot.trades() == rows


@pytest.mark.long
def test_at_the_end_of_the_tape_the_other_commands_still_answer(bot: BotRunner) -> None:
    bot.run("tick")
    go_to_the_end(bot)
    bot.run("tick")
    bot.run("tick")

    for command in ("status", "positions", "trades", "balance", "check-positions", "drawdown"):
        assert bot.run(command).exit_code == 0, command


def test_the_tape_calls_itself_synthetic() -> None:
    description = json.loads((demo_data_folder() / "markets.json").read_text())

    assert "synthetic" in json.dumps(description).lower()


def test_a_wheel_brings_the_tape_to_where_it_is_looked_for() -> None:
    """An installed botctl has no data/ beside it: `demo_data_folder` then finds the package's own tape/."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"data/tape": "botctl/tape"}
    assert demo_data_folder() == PROJECT / "data" / "tape"
    assert {path.name for path in demo_data_folder().iterdir()} >= {"markets.json", "BTC-USD.csv", "ETH-USD.csv"}


def go_to_the_end(bot: BotRunner) -> None:
    """Wind the tape on, so that one candle is left."""
    rows = [row for row in (demo_data_folder() / "BTC-USD.csv").read_text().splitlines() if row[:1].isdigit()]
    bot.open_store()
    key_value.save(POSITION_KEY, str(len(rows) - 2))
    close_database()


def can_cut_the_network() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True).returncode == 0
