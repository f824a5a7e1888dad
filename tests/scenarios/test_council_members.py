"""COUNCIL_COMMAND as one member among others: asked no more than it takes, wherever cron starts the tick."""

import json
import os
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_program, output_of, sides, stopped_clock
from tests.scenarios.test_council import install_agent, not_asked

COUNT = "open('asked', 'a').write('x')"


def asked(live: BotRunner) -> int:
    """How often the program was asked."""
    note = live.home / "asked"
    return len(note.read_text()) if note.exists() else 0


@pytest.fixture
def seated(live: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BotRunner:
    """An agent that is always BULLISH sits beside the program."""
    lines = "from botctl.agents import Stance, Verdict\n        return Verdict('keen', Stance.BULLISH, 'always')"
    install_agent(tmp_path, "keen", lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    live.set(COUNCIL="keen,command", COUNCIL_RULE="unanimous")
    return live


def answering(live: BotRunner, **answer: object) -> None:
    council_program(live, COUNT, f"print({json.dumps({'reason': 'told so', **answer})!r})")


def test_a_program_that_is_a_member_decides_with_the_others(seated: BotRunner, kraken: FakeKraken) -> None:
    answering(seated, decision="SELL")
    against = seated.run("tick", "--json").json()["decisions"][0]
    answering(seated, stance="fear", confidence=0.5)

    run = seated.run("tick", "--json")

    assert (against["decision"], against["reason"]) == (
        "HOLD", "unanimous: 1 for and 1 against of 2 (keen BULLISH, command BEARISH)",
    )  # fmt: skip
    assert run.exit_code == 0, output_of(run)
    [decision] = run.json()["decisions"]
    assert decision["decision"] == "BUY"
    assert [(row["agent"], row["stance"], row["confidence"]) for row in decision["verdicts"]] == [
        ("keen", "BULLISH", "1.0"), ("command", "FEAR", "0.5"),
    ]  # fmt: skip
    assert sides(kraken) == ["buy"]


def test_a_member_program_that_fails_is_unknown_and_an_error(seated: BotRunner, kraken: FakeKraken) -> None:
    council_program(seated, "sys.exit(3)")

    run = seated.run("tick", "--json")

    assert run.exit_code == 1, output_of(run)
    assert "COUNCIL_COMMAND failed on BTC/USD: it ended with exit code 3" in run.stderr
    assert [row["stance"] for row in run.json()["decisions"][0]["verdicts"]] == ["BULLISH", "UNKNOWN"]
    assert sides(kraken) == []


def test_command_without_a_program_is_a_wrong_setting_and_stops_go_on(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL="technical,command")
    buy(live)
    kraken.set_price("BTC/USD", 48900)

    run, check = live.run("tick"), live.run("config", "check")

    assert (run.exit_code, check.exit_code) == (78, 78), output_of(run)
    assert run.stderr.count("COUNCIL names command, and COUNCIL_COMMAND is not set") == 1
    assert "COUNCIL_COMMAND is not set" in " ".join(check.stdout.split())
    assert sides(kraken) == ["buy", "sell"]


def test_a_program_that_council_does_not_name_decides_alone(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL="technical,sentiment", COUNCIL_RULE="story")
    council_program(live, "print(json.dumps({'stance': 'FEAR', 'reason': 'cheap'}))")

    run = live.run("tick", "--json")

    [decision] = run.json()["decisions"]
    assert (decision["decision"], decision["reason"]) == ("BUY", "cheap"), output_of(run)
    assert [row["agent"] for row in decision["verdicts"]] == ["command"]


# Fewer questions


def test_nobody_is_asked_where_no_answer_could_matter(live: BotRunner, kraken: FakeKraken) -> None:
    answering(live, decision="HOLD")
    live.set(MAX_OPEN_TRADES="1", SYMBOLS="BTC/USD,ETH/USD")
    buy(live)

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert asked(live) == 1  # the open trade could be sold
    assert not_asked(live, "ETH/USD") == "not asked: 1 trades are active, MAX_OPEN_TRADES is 1"


@pytest.mark.usefixtures("bent_time")
def test_a_sale_makes_room_for_a_buy_of_the_same_tick(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(MAX_OPEN_TRADES="1", SYMBOLS="ETH/USD,BTC/USD")
    buy(live)
    lines = (
        "answer = 'SELL' if json.loads(asked)['trade'] else 'BUY'",
        "print(json.dumps({'decision': answer, 'reason': ''}))",
    )
    council_program(live, *lines)

    run = live.run("tick", "--json")

    assert run.exit_code == 0, output_of(run)
    assert [(row["symbol"], row["decision"]) for row in run.json()["decisions"]] == [
        ("ETH/USD", "BUY"), ("BTC/USD", "SELL"),
    ]  # fmt: skip
    assert sides(kraken) == ["buy", "sell", "buy"]


@pytest.mark.long
def test_an_answer_is_used_again_until_its_span_is_over(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_EVERY="1h")
    answering(live, decision="HOLD", confidence=0.5)
    with stopped_clock() as clock:
        clock.move_to(clock().replace(minute=45, second=10))
        live.run("tick")
        live.run("tick")
        within = asked(live)
        again = live.json("why", "BTC/USD")[0]
        clock.tick(900 - 5)  # ticks don't start to the second
        live.run("tick")

    assert within == 1
    assert again["reason"].startswith("told so (asked at ")
    assert again["verdicts"][0]["confidence"] == "0.5"
    assert asked(live) == 2


def test_a_changed_trade_another_program_or_a_failure_asks_anew(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_EVERY="1d", COOLDOWN_MINUTES="0")
    answering(live, decision="HOLD")
    with stopped_clock() as clock:
        clock.move_to(clock().replace(hour=10))
        live.run("tick")
        buy(live)
        live.run("tick")
        bought = asked(live)
        live.run("sell", "BTC/USD", "0.001", "--yes")
        live.run("tick")
        reduced = asked(live)
        live.run("sell", "BTC/USD", "--yes")
        live.run("tick")
        sold = asked(live)
        live.set(COUNCIL_COMMAND=f"{os.environ['COUNCIL_COMMAND']} --again")
        live.run("tick")
        council_program(live, COUNT, "sys.exit(1)")
        live.run("tick")
        live.run("tick")

    assert (bought, reduced, sold, asked(live)) == (2, 3, 4, 7)


# Where it runs, and what it sees


@parametrize("command", ["./decide", "decide", "sh decide", "bin/../decide"], quick=2)
def test_a_relative_program_belongs_to_the_home(
    live: BotRunner, kraken: FakeKraken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    program = live.home / "decide"
    program.write_text('#!/bin/sh\npwd > where\necho \'{"decision": "HOLD", "reason": "at home"}\'\n')
    program.chmod(0o755)
    (live.home / "bin").mkdir()
    live.set(COUNCIL_COMMAND=command)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("BOTCTL_HOME", str(live.home))

    run, doctor = live.run("tick"), live.run("doctor", "--json")

    assert run.exit_code == 0, output_of(run)
    assert live.json("why", "BTC/USD")[0]["reason"] == "at home"
    assert os.path.samefile((live.home / "where").read_text().strip(), live.home)
    assert [line["status"] for line in doctor.json() if line["name"] == "council"] == ["ok"]


def test_a_bad_answer_is_shown_without_the_variables_that_the_program_got(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_ENV="MODEL_KEY", MODEL_KEY="very-secret-key")
    council_program(live, "print('no such key: ' + os.environ['MODEL_KEY'])")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "it answered with: no such key: ***" in run.stderr
    assert "very-secret" not in output_of(run)
