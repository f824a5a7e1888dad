"""config: every setting with where it came from, every problem at once, and no secret anywhere."""

import os
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.configuration.settings import NAMES
from tests.bot_runner import BotRunner, Run
from tests.cli.assertions import check_error, files_in
from tests.fields import CONFIG

KEY, PRIVATE = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5", "c2VjcmV0IG9mIHRoZSBob3VzZQ=="


def write_env(home: Path, text: str, mode: int = 0o600) -> None:
    (home / ".env").write_text(text)
    (home / ".env").chmod(mode)


def shown(bot: BotRunner, *arguments: str) -> dict[str, dict[str, Any]]:
    rows = bot.json("config", "show", *arguments)
    assert {frozenset(row) for row in rows} == {CONFIG}
    return {row["name"]: row for row in rows}


def problems(run: Run) -> list[str]:
    return [f"{line['name']}: {line['detail']} -> {line['fix']}" for line in run.json() if line["status"] == "fail"]


def test_every_setting_is_shown_with_where_it_came_from(bot: BotRunner, home: Path) -> None:
    write_env(home, "SYMBOLS=xbt/usd, ETH/EUR\nMAX_OPEN_TRADES=3\nLOG_FILE=\n")
    bot.set(MAX_OPEN_TRADES="7")
    bot.unset("DATABASE_URL")

    rows = shown(bot)

    assert list(rows) == list(NAMES)
    assert rows["SYMBOLS"] == {
        "name": "SYMBOLS", "value": "BTC/USD,ETH/EUR", "source": "file", "file": str(home / ".env")
    }  # fmt: skip
    assert (rows["MAX_OPEN_TRADES"]["value"], rows["MAX_OPEN_TRADES"]["source"]) == ("7", "environment")
    assert (rows["TIMEFRAME"]["value"], rows["TIMEFRAME"]["source"]) == ("15m", "default")
    assert (rows["LOG_FILE"]["value"], rows["LOG_FILE"]["source"]) == (None, "not set")
    assert (rows["DATABASE_URL"]["value"], rows["DATABASE_URL"]["source"]) == ("sqlite:///data/demo.db", "default")
    assert (rows["LIVE_TRADING"]["value"], rows["TICK_TIMEOUT"]["value"]) == ("no", "720")
    assert rows["BOTCTL_HOME"]["value"] == str(home)


def test_a_file_of_settings_elsewhere_is_named(bot: BotRunner, tmp_path: Path) -> None:
    elsewhere = tmp_path / "settings"
    elsewhere.write_text("SYMBOLS=ETH/USD\n")

    assert shown(bot, "--env-file", str(elsewhere))["SYMBOLS"]["file"] == str(elsewhere)


def test_no_secret_is_shown(bot: BotRunner, home: Path) -> None:
    write_env(home, f"KRAKEN_API_KEY={KEY}\nSENTIMENT_URL=https://me:{'hush' * 3}@example.com/\n")
    bot.set(KRAKEN_PRIVATE_KEY=PRIVATE, NOTIFY_URLS="tgram://123:token/chat")
    bot.unset("SENTIMENT_URL")

    runs = [bot.run("config", command, *form) for command in ("show", "check") for form in ((), ("--json",))]

    said = "".join(run.stdout + run.stderr for run in runs)
    for secret in (KEY, PRIVATE, "hush", "token"):
        assert secret not in said
    rows = shown(bot)
    assert rows["KRAKEN_API_KEY"]["value"] == rows["NOTIFY_URLS"]["value"] == "***"
    assert rows["SENTIMENT_URL"]["value"] == "https://me:***@example.com/"


def test_settings_in_order_are_said_to_be_so(bot: BotRunner) -> None:
    run = bot.run("config", "check")

    assert (run.exit_code, run.stdout) == (0, "demo: no problems found\n")
    assert bot.json("config", "check") == []


def test_every_problem_is_listed_at_once(bot: BotRunner, home: Path) -> None:
    lines = ["BOTCTL_MODE=live", "no line at all", "MAX_DRAWDOWN=20", "MAX_DRAWDOWM=0.1", "and another", "ATR_PERIOD=1"]
    write_env(home, "\n".join([*lines, "LOG_FILE=/proc/nowhere/log", f"KRAKEN_API_KEY={KEY}"]), 0o644)
    bot.set(SYMBOLS="BTC", BOTCTL_MOOD="good")
    bot.unset("BOTCTL_MODE", "DATABASE_URL")

    run = bot.run("config", "check", "--json")

    assert run.exit_code == 78
    found = problems(run)
    for words in (
        "line 2 is not NAME=value",
        "line 5 is not NAME=value",
        "unknown setting BOTCTL_MOOD",
        "unknown setting MAX_DRAWDOWM",
        "MAX_DRAWDOWN='20'",
        "ATR_PERIOD='1'",
        "SYMBOLS='BTC'",
        "live mode needs KRAKEN_PRIVATE_KEY",
        "live mode needs INITIAL_BALANCE",
        "LIVE_TRADING=yes",
        f"chmod 600 {home / '.env'}",
        "no live database at",
        "LOG_FILE: /proc/nowhere is not a folder",
    ):
        assert any(words in line for line in found), (words, found)
    assert len(found) == 13
    assert any("SYMBOLS" in line and "fix it in the environment" in line for line in found)


def test_a_key_that_is_no_key_is_not_missing_as_well(live: BotRunner) -> None:
    live.set(KRAKEN_PRIVATE_KEY="not base64!")

    found = problems(live.run("config", "check", "--json"))

    assert len(found) == 1
    assert "KRAKEN_PRIVATE_KEY" in found[0]
    assert "not base64!" not in found[0]


def test_a_live_home_that_is_ready_has_no_problem(live: BotRunner) -> None:
    assert live.json("config", "check") == []


def test_a_loose_env_file_is_a_warning_where_no_money_is(bot: BotRunner, home: Path) -> None:
    write_env(home, "", 0o644)

    run = bot.run("config", "check", "--json")

    assert run.exit_code == 0
    assert [line["status"] for line in run.json()] == ["warn"]


def test_a_file_of_settings_that_is_not_there_is_a_problem(bot: BotRunner) -> None:
    run = bot.run("config", "check", "--env-file", "nowhere", "--json")

    assert run.exit_code == 78
    assert any("nowhere does not exist" in line for line in problems(run))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_can_not_be_written_is_a_problem(bot: BotRunner, home: Path) -> None:
    home.chmod(0o500)

    found = problems(bot.run("config", "check", "--json"))

    home.chmod(0o700)
    assert any("the home" in line for line in found)


def test_a_file_in_the_place_of_a_folder_is_a_problem(bot: BotRunner, home: Path) -> None:
    (home / "data").write_text("no folder")

    assert any("the database" in line for line in problems(bot.run("config", "check", "--json")))


def test_looking_makes_nothing(bot: BotRunner, home: Path) -> None:
    for command in ("show", "check"):
        bot.run("config", command)

    assert files_in(home) == {}


def test_what_can_not_be_meant_is_not_shown_as_if_it_acted(bot: BotRunner) -> None:
    bot.set(MAX_DRAWDOWN="20")

    check_error(bot.run("config", "show"), 78, "MAX_DRAWDOWN")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["MAX_DRAWDOWN=0.05", "", "MAX_DRAWDOWN=0.20"], "sets MAX_DRAWDOWN in lines 1, 3"),
        (["MODEL_KEY=a", "MODEL_KEY=a"], "sets MODEL_KEY in lines 1, 2"),
        (["BOTCTL_MODE=demo", "max_drawdown=0.05"], "line 2: unknown setting max_drawdown, did you mean MAX_DRAWDOWN?"),
        (["botctl_colour=blue"], "line 1: unknown setting botctl_colour"),
        (["https_proxy=http://proxy:1", "A=1", "https_proxy=b"], "line 1, 3: unknown setting https_proxy"),
    ],
)
def test_a_name_twice_or_in_lower_case_is_named_with_its_lines(
    bot: BotRunner, home: Path, lines: list[str], said: str
) -> None:
    write_env(home, "\n".join(lines))

    run = bot.run("config", "check", "--json")

    assert run.exit_code == 78
    assert any(said in line for line in problems(run)), run.stdout


def test_a_name_that_the_council_asks_for_may_look_like_a_setting(bot: BotRunner, home: Path) -> None:
    write_env(home, "COUNCIL_ENV=LOG_FILES,HTTP_PROXY\nLOG_FILES=a\nHTTP_PROXY=http://proxy:1")

    assert bot.run("config", "check").exit_code == 0
