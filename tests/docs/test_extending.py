"""The worked examples of docs/EXTENDING.md work."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.docs.examples import apply, blocks, copy_repository, run_commands

PAGE = (PROJECT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")


def test_the_agent_of_the_page_decides(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, package, setting = blocks(PAGE, "How to add an agent")
    (tmp_path / "gap_agent.py").write_text(agent.text)
    install(tmp_path, tomllib.loads(package.text)["project"]["entry-points"]["botctl.agents"])
    monkeypatch.syspath_prepend(str(tmp_path))
    name, _, value = setting.text.strip().partition("=")
    bot.set(**{name: value})

    view = bot.json("tick")

    first = view["decisions"][0]
    assert [verdict["agent"] for verdict in first["verdicts"]] == ["gap", "sentiment"]
    assert first["decision"] == "BUY"
    assert view["entries"]


def test_the_agent_of_the_page_is_backtested_and_replayed_with_the_same_trades(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, package, setting, _commands = blocks(PAGE, "How to try an agent on past candles")
    (tmp_path / "ema_agent.py").write_text(agent.text)
    install(tmp_path, tomllib.loads(package.text)["project"]["entry-points"]["botctl.agents"])
    monkeypatch.syspath_prepend(str(tmp_path))
    name, _, value = setting.text.strip().partition("=")
    bot.set(**{name: value})
    tape = str(PROJECT / "data" / "tape" / "BTC-USD.csv")
    options = (tape, "--from", "2025-01-05T12:00", "--to", "2025-01-06T00:00", "--cooldown", "15")

    calculated, replayed = bot.json("backtest", *options), bot.json("replay", *options)

    assert calculated["council"] == "ema, sentiment"
    assert calculated["trades"] == replayed["trades"]
    assert calculated["trades"]


def test_the_agent_with_indicators_decides_by_them(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = PAGE.split("## An agent with indicators")[1].split("\n## ")[0]
    [agent] = blocks(PAGE, "An agent with indicators of pandas-ta")
    [(name, place)] = re.findall(r'`(\w+) = "([\w:]+)"`', section)
    (tmp_path / "trend_agent.py").write_text(agent.text)
    install(tmp_path, {name: place})
    monkeypatch.syspath_prepend(str(tmp_path))
    bot.set(COUNCIL=section.split("`COUNCIL=")[1].split("`")[0])

    verdicts = [decision["verdicts"][0] for decision in bot.json("tick")["decisions"]]

    assert [verdict["agent"] for verdict in verdicts] == ["trend", "trend"]
    for verdict in verdicts:
        macd, adx = re.findall(r"[-+]?[\d.]+(?:e-?\d+)?$|[-+][\d.]+", verdict["reason"])
        expected = "NEUTRAL" if float(adx) < 20 else "BULLISH" if float(macd) > 0 else "BEARISH"
        assert verdict["stance"] == expected


def install(folder: Path, agents: dict[str, str]) -> None:
    """A distribution with these entry points, as pip leaves it."""
    info = folder / "gap_agent-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gap-agent\nVersion: 1.0\n")
    lines = [f"{name} = {place}\n" for name, place in agents.items()]
    (info / "entry_points.txt").write_text("[botctl.agents]\n" + "".join(lines))


@pytest.mark.long
@pytest.mark.parametrize("title", ["How to add a command", "How to add an endpoint of Kraken"])
def test_the_example_of_the_page_works_in_a_copy(tmp_path: Path, title: str) -> None:
    root = copy_repository(tmp_path / "copy")
    *parts, commands = blocks(PAGE, title)

    changed = {apply(part, root) for part in parts}

    [*_, tests] = run_commands(commands, root)
    assert " passed" in tests
    files = [str(path) for path in changed]
    for check in (["check", "--extend-ignore", "E501"], ["format", "--check", "--diff"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", *files], capture_output=True, text=True, cwd=root
        )
        assert run.returncode == 0, run.stdout
