"""Who sits in the Council of a backtest, a replay, a sweep and the demo."""

import json
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backtesting.own_agents import install_agents
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error

BTC = str(PROJECT / "data" / "tape" / "BTC-USD.csv")
DAY = (BTC, "--from", "2025-01-05T12:00", "--to", "2025-01-06T00:00", "--cooldown", "15")
"""Twelve hours on the tape that rise and fall."""
HOURS = (*DAY, "--to", "2025-01-05T19:00")
"""The first seven of them."""
GRID = ("--grid", "atr_multiple=2,3", "--train", "1")


def program(bot: BotRunner, answers: str) -> Path:
    """Set COUNCIL_COMMAND to a shell program that has `$sum`, which differs for each question. Counts its runs."""
    script = bot.home / "decide.sh"
    script.write_text(
        f"sum=$(cksum)\nsum=${{sum%% *}}\necho run >> {bot.home}/runs\ncase $((sum % 4)) in\n{answers}\nesac\n"
    )
    bot.set(COUNCIL_COMMAND=shlex.join(["/bin/sh", str(script)]))
    return script


def answer(decision: str) -> str:
    return f"echo '{json.dumps({'decision': decision, 'reason': 'by its sum'})}' ;;"


DECIDED = f"0) {answer('BUY')}\n1) {answer('SELL')}\n*) {answer('HOLD')}"


def runs(bot: BotRunner) -> int:
    path = bot.home / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_backtest_seats_who_council_names(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, averages="Averages")
    default = bot.json("backtest", *DAY)
    bot.set(COUNCIL="averages,sentiment", COUNCIL_RULE="majority")

    run = bot.run("backtest", *DAY)
    own = bot.json("backtest", *DAY)

    assert (run.exit_code, run.stderr) == (0, "")
    assert "averages, sentiment (majority)" in run.stdout
    assert (default["council"], own["council"]) == ("technical, sentiment", "averages, sentiment (majority)")
    assert own["trades"] != default["trades"]


def test_an_agent_that_prints_leaves_the_result_alone(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agents(tmp_path, monkeypatch, loud="Loud")
    bot.set(COUNCIL="loud", COUNCIL_RULE="majority")

    run = bot.run("backtest", *DAY, "--json")

    assert run.json()["trades"]
    assert {f"noise of a {what}" for what in ("new agent", "bar", "history")} == set(run.stderr.splitlines())


def test_an_agent_that_is_not_installed_is_a_configuration_error(bot: BotRunner) -> None:
    bot.set(COUNCIL="astrology")

    for command in (("backtest", BTC), ("replay", BTC), ("demo",)):
        check_error(bot.run(*command), 78, "COUNCIL names astrology")


def test_a_program_with_a_cache_is_asked_once_and_replays_as_it_was_backtested(bot: BotRunner) -> None:
    program(bot, DECIDED)
    cache = ("--cache", str(bot.home / "answers.db"))

    first = bot.json("backtest", *HOURS, *cache)
    asked = runs(bot)
    second = bot.json("backtest", *HOURS, *cache)
    again = runs(bot)
    replayed = bot.json("replay", *HOURS, *cache)

    assert asked > 20
    assert (again, second) == (asked, first)
    assert runs(bot) == asked
    assert {"COUNCIL"} <= {trade["exit_reason"] for trade in first["trades"]}
    assert replayed["trades"] == first["trades"]
    assert (bot.home / "answers.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_a_changed_script_is_asked_anew_and_without_a_cache_every_run_asks(bot: BotRunner) -> None:
    script, cache = program(bot, DECIDED), ("--cache", str(bot.home / "answers.db"))
    short = (*DAY, "--to", "2025-01-05T13:00")
    counts = []
    for options in (cache, (), ()):
        bot.run("backtest", *short, *options)
        counts.append(runs(bot))
    script.write_text(script.read_text() + "# another version\n")

    bot.process("backtest", *short, *cache)  # a process of its own: this one knows the script

    assert counts[1] == 2 * counts[0]
    assert counts[2] == 3 * counts[0]
    assert runs(bot) == 4 * counts[0]


@pytest.mark.long
def test_a_bad_answer_is_held_and_said_once_and_asked_again(bot: BotRunner) -> None:
    program(bot, f"0) echo nonsense ;;\n*) {answer('HOLD')}")
    cache = ("--cache", str(bot.home / "answers.db"))

    run = bot.run("backtest", *DAY, *cache)
    first = runs(bot)
    bot.run("backtest", *DAY, *cache)

    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1
    assert "COUNCIL_COMMAND failed on BTC/USD: " in run.stderr
    assert 0 < runs(bot) - first < first
    assert bot.run("backtest", *DAY, *cache, "--json").json()["errors"]


@pytest.mark.parametrize("content", [b"no database", b""], ids=["text", "other tables"])
def test_another_file_than_a_cache_is_refused_and_left_alone(bot: BotRunner, content: bytes) -> None:
    program(bot, DECIDED)
    path = bot.home / "live.db"
    if content:
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE trade (id)")
    before = path.read_bytes()

    check_error(bot.run("backtest", *DAY, "--cache", str(path)), 2, "live.db is not a cache")

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "error"), [("--cache", "is a folder: name a file in it"), ("--decisions", "is a folder")]
)
def test_a_folder_is_no_file_of_answers(bot: BotRunner, option: str, error: str) -> None:
    program(bot, DECIDED)

    check_error(bot.run("backtest", *DAY, option, str(bot.home)), 2, error)


def test_what_is_no_database_is_not_called_damaged(bot: BotRunner) -> None:
    check_error(bot.run("backtest", *DAY, "--decisions", BTC), 2, "BTC-USD.csv is not a database: name one")


def test_an_answer_that_is_no_text_is_shown(bot: BotRunner) -> None:
    program(bot, r"*) printf '\377BUY' ;;")

    run = bot.run("backtest", *DAY, "--to", "2025-01-05T13:00")

    assert r"COUNCIL_COMMAND failed on BTC/USD: its answer is not UTF-8: b'\xffBUY'" in run.stderr


def test_a_cache_is_for_a_program(bot: BotRunner) -> None:
    check_error(bot.run("backtest", BTC, "--cache", str(bot.home / "answers.db")), 2, "--cache is for a program")
    assert not (bot.home / "answers.db").exists()


def test_recorded_decisions_are_traded_again(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, trader="Trader")
    folder = tmp_path / "kept"
    bot.set(COUNCIL="trader", COUNCIL_RULE="majority")
    replayed = bot.json("replay", *HOURS, "--keep", str(folder))
    bot.unset("COUNCIL", "COUNCIL_RULE")
    database = folder / "data" / "replay.db"
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}

    again = bot.json("backtest", *HOURS, "--decisions", str(database))

    assert replayed["trades"]
    assert again["trades"] == replayed["trades"]
    used = len(decisions_of(database))
    assert again["council"] == f"decisions of replay.db ({used} used, 0 not)"
    assert bot.json("replay", *HOURS, "--decisions", str(database))["trades"] == replayed["trades"]
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before
    shifted(database, minutes=20)  # after the next close already
    assert bot.json("backtest", *HOURS, "--decisions", str(database))["trades"] != replayed["trades"]
    shifted(database, minutes=60 * 24 * 400)
    check_error(bot.run("backtest", *HOURS, "--decisions", str(database)), 2, "no decision of replay.db", "BTC/USD")


def decisions_of(database: Path) -> list[Any]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute("SELECT symbol, decided_at, decision FROM decision").fetchall()


def shifted(database: Path, minutes: int) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        opened.execute(
            "UPDATE decision SET decided_at = strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', decided_at, ?)",
            [f"+{minutes} minutes"],
        )


@pytest.mark.parametrize("path", ["nowhere.db", "answers.txt"])
def test_what_records_no_decisions_is_refused(bot: BotRunner, path: str) -> None:
    (bot.home / "answers.txt").write_text("no database")

    run = bot.run("backtest", BTC, "--decisions", str(bot.home / path))

    assert run.exit_code in (2, 78)
    assert path in run.stderr


def test_a_sweep_refuses_what_must_be_asked(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, trader="Trader")
    bot.set(COUNCIL="trader", COUNCIL_RULE="majority")

    check_error(bot.run("sweep", *DAY, *GRID), 2, "a sweep can't ask trader (majority)", "botctl backtest")


@pytest.mark.long
def test_a_sweep_plays_what_is_known_beforehand(
    bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agents(tmp_path, monkeypatch, averages="Averages")
    bot.set(COUNCIL="averages", COUNCIL_RULE="majority")

    own, calculated = bot.json("sweep", *DAY, *GRID), bot.json("backtest", *DAY, "--atr-multiple", "3")

    [three] = [row for row in own["best"] if row["settings"] == {"atr_multiple": "3"}]
    assert three["train"]["trades"] == len(calculated["trades"]) > 0


def test_the_demo_seats_who_council_names(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, averages="Averages")
    (bot.home / ".env").write_text("COUNCIL=averages\nCOUNCIL_RULE=majority\nATR_PERIOD=wrong\n")

    view = bot.json("demo", "--ticks", "5")

    assert view["council"] == "averages (majority)"
    assert list(view["verdicts"]) == ["averages"]
    assert "averages: " in bot.run("demo", "--ticks", "2").stdout
    bot.set(COUNCIL="averages,sentiment", COUNCIL_RULE="story")
    assert bot.json("demo", "--ticks", "2")["council"] == "averages, sentiment"


def test_a_program_plays_the_demo(bot: BotRunner) -> None:
    program(bot, DECIDED)
    cache = ("--cache", str(bot.home / "answers.db"))

    view = bot.json("demo", "--ticks", "4", *cache)
    asked = runs(bot)
    again = bot.json("demo", "--ticks", "4", *cache)

    assert (again["decisions"], again["equity"]) == (view["decisions"], view["equity"])
    assert (runs(bot), list(view["verdicts"])) == (asked, ["command"])
