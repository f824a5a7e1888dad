"""The Council's strangers: programs and agents of anybody's, which may say and raise whatever they like."""

import json
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import council_program, output_of, sides
from tests.scenarios.test_council import install_agent


def test_a_program_that_says_too_much_is_ended(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_COMMAND="/usr/bin/yes", COUNCIL_TIMEOUT="60")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "more than 65536 bytes" in run.stderr


@pytest.mark.parametrize("reason", ["\ud800", "\x00\x1b[2J"])
def test_a_reason_in_strange_letters_is_kept(reason: str, live: BotRunner, kraken: FakeKraken) -> None:
    council_program(live, f"print({json.dumps({'decision': 'HOLD', 'reason': reason})!r})")

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert live.json("why", "BTC/USD")[0]["reason"].isprintable()


@parametrize(
    "lines",
    [
        "raise SystemExit(0)",
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
        "from botctl.domain.decisions import Verdict; return Verdict('grumpy', ['FEAR'], '')",
        "raise SystemExit('no')",
        "raise GeneratorExit",
        "from botctl.domain.decisions import Verdict; return Verdict('grumpy', 'BUY', '')",
    ],
    quick=3,
)
def test_an_agent_that_would_end_the_run_is_unknown(
    lines: str, live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agent(tmp_path, "grumpy", lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="grumpy")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "agent grumpy failed on BTC/USD" in run.stderr
    assert "bug:" not in run.stderr
    assert live.json("status")["last_tick_ok"] is False


def test_an_agent_that_prints_leaves_the_json_alone(
    live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agent(tmp_path, "loud", "print('noise'); raise ValueError")
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="loud")

    run = live.run("tick", "--json")

    assert run.json()["ok"] is False
    assert "noise" in run.stderr


@parametrize(
    "module",
    [
        "def (",
        "raise SystemExit(0)",
        "import no_such_module",
        "other = 1",
        "class Agent:\n    def __init__(self): 1 / 0",
        "class Agent: pass",
    ],
    quick=3,
)
def test_an_agent_that_cannot_be_loaded_is_a_wrong_setting(
    module: str, live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken{abs(hash(module))}"  # Python keeps a module that was imported
    install_agent(tmp_path, name, "pass")
    (tmp_path / f"agent_of_{name}.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL=name, SYMBOLS="BTC/USD,ETH/USD")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert run.stderr.count("that agent can't be loaded") == 1
    assert sides(kraken) == []
