"""`botctl agent new` and `botctl agent test`: from nothing to a member of the Council."""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.scenarios.steps import council_program, output_of
from tests.scenarios.test_council import install_agent

OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-compile")


def module(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{folder}"},
    )  # fmt: skip


def as_installed(folder: Path) -> None:
    """What pip leaves in its folder beside the package's modules."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {place}" for name, place in project["entry-points"]["botctl.agents"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[botctl.agents]", *points, ""]))


def test_a_new_agent_passes_its_test_and_sits_in_the_council(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = bot.json("agent", "new", "sea-trend", "--in", str(tmp_path))
    as_installed(tmp_path / "sea-trend")
    monkeypatch.syspath_prepend(str(tmp_path / "sea-trend"))
    own_tests = vars(importlib.import_module("test_sea_trend_agent"))

    asked = bot.run("agent", "test", "sea-trend", "--symbol", "BTC/USD")
    bot.set(COUNCIL="sea-trend,sentiment")
    tick, doctor = bot.json("tick"), bot.run("doctor")

    assert [Path(file).name for file in new["files"]] == [
        "pyproject.toml", "sea_trend_agent.py", "test_sea_trend_agent.py",
    ]  # fmt: skip
    assert asked.exit_code == 0, output_of(asked)
    assert "ADX(14)" in asked.stdout
    assert [row["agent"] for row in tick["decisions"][0]["verdicts"]] == ["sea-trend", "sentiment"]
    assert "EMA(20)" in tick["decisions"][0]["verdicts"][0]["reason"]
    assert "sea-trend, sentiment" in doctor.stdout
    for name in [name for name in own_tests if name.startswith("test_")]:
        own_tests[name]()


@pytest.mark.long
def test_pip_installs_a_new_agent_and_pytest_runs_its_test(bot: BotRunner, tmp_path: Path) -> None:
    bot.run("agent", "new", "trend", "--in", str(tmp_path))
    site, package = str(tmp_path / "site"), str(tmp_path / "trend")

    installed = module("pip", "install", *OFFLINE, "--target", site, package, folder=tmp_path)
    tested = module("pytest", "-q", "-p", "no:cacheprovider", package, folder=Path(site))
    found = module("botctl", "agent", "test", "trend", folder=Path(site))

    assert installed.returncode == 0, installed.stderr
    assert "4 passed" in tested.stdout, tested.stdout
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("arguments", [("trend",), ("trend", "--program")])
def test_what_is_written_is_clean_code(bot: BotRunner, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    files = [
        file for file in bot.json("agent", "new", *arguments, "--in", str(tmp_path))["files"] if ".py" in file[-3:]
    ]

    for check in (["check", "--ignore", "INP001,S101"], ["format", "--check"]):
        run = module("ruff", *check, "--no-cache", "--config", str(PROJECT / "pyproject.toml"), *files, folder=tmp_path)
        assert run.returncode == 0, run.stdout


def test_a_new_program_runs_as_it_is(bot: BotRunner, tmp_path: Path) -> None:
    [file] = bot.json("agent", "new", "mean", "--program", "--in", str(tmp_path))["files"]

    asked = bot.json("agent", "test", file, "--symbol", "BTC/USD")
    bot.set(COUNCIL_COMMAND=file)
    tick = bot.json("tick")

    assert os.access(file, os.X_OK)
    assert (asked["kind"], asked["error"], asked["verdict"]["agent"]) == ("program", "", "command")
    assert json.loads(asked["question"])["symbol"] == "BTC/USD"
    assert json.loads(asked["answer"])["reason"] == asked["verdict"]["reason"]
    assert 0 < float(asked["seconds"]) < 30
    assert "the mean of 20 closes" in tick["decisions"][0]["reason"]


@pytest.mark.parametrize("name", ["Trend", "1st", "a b", "../up", "", "x" * 41, "technical", "command"])
def test_a_name_that_could_not_sit_is_refused(bot: BotRunner, tmp_path: Path, name: str) -> None:
    run = bot.run("agent", "new", name, "--in", str(tmp_path / "."))

    assert run.exit_code == 2, output_of(run)
    assert list(tmp_path.glob("*/pyproject.toml")) == []


@pytest.mark.parametrize("arguments", [(), ("--program",)])
def test_nothing_is_written_over(bot: BotRunner, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    bot.run("agent", "new", "mine", *arguments, "--in", str(tmp_path))
    [mine] = [path for path in tmp_path.rglob("mine*.py") if "test" not in path.name]
    mine.write_text("changed")

    run = bot.run("agent", "new", "mine", *arguments, "--in", str(tmp_path))

    assert run.exit_code == 2, output_of(run)
    assert "already exists" in run.stderr
    assert mine.read_text() == "changed"


def test_a_test_asks_the_programs_of_the_settings_and_shows_all(bot: BotRunner) -> None:
    bot.set(COUNCIL_EVERY="1d")
    council_program(
        bot, "print(json.dumps({'stance': 'fear', 'confidence': 0.5, 'reason': json.loads(asked)['mode']}))"
    )

    bot.run("tick")
    run = bot.run("agent", "test", "command", "--symbol", "ETH/USD")

    assert run.exit_code == 0, output_of(run)
    assert "FEAR 0.5: demo" in run.stdout
    assert '"ETH/USD"' in run.stdout
    assert "asked at" not in run.stdout
    assert "HOLD" not in run.stdout.split("answer")[1]


def test_a_bad_answer_is_shown_and_fails(bot: BotRunner) -> None:
    council_program(bot, "print('as an AI I can not decide')")

    run = bot.run("agent", "test", "command")

    assert run.exit_code == 1
    assert "its answer is not one JSON object" in " ".join(run.stdout.split())
    assert "as an AI" in run.stdout


@pytest.mark.parametrize("lines", ["raise SystemExit(0)", "return 1 / 0", "return None"])
def test_an_agent_that_fails_is_an_error(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    install_agent(tmp_path, "grumpy", lines)
    monkeypatch.syspath_prepend(str(tmp_path))

    run = bot.run("agent", "test", "grumpy", "--json")

    assert run.exit_code == 1, output_of(run)
    assert (run.json()["answer"], run.json()["verdict"]) == (None, None)
    assert run.json()["error"]


@pytest.mark.parametrize(("name", "code"), [("nobody", 2), ("./no-such-program", 78), ("command", 78)])
def test_a_member_that_is_not_there_is_named(bot: BotRunner, name: str, code: int) -> None:
    run = bot.run("agent", "test", name)

    assert run.exit_code == code, output_of(run)
    assert name.strip("./") in run.stderr.lower()
