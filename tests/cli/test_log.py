"""The log: a line for each decision, in words or as JSON, in a file that does not grow for ever, or in the journal."""

import json
import logging
import os
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botctl.cli import log
from botctl.domain.money import format_decimal
from tests.bot_runner import PROJECT, BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import council_says


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_trade_leaves_one_line_for_each_decision_with_its_figures_and_its_order(
    live: BotRunner, kraken: FakeKraken, home: Path
) -> None:
    live.set(LOG_FILE="log")
    council_says(live, "BUY")
    live.run("tick")
    kraken.set_price("BTC/USD", 52000)
    live.run("check-positions")
    kraken.set_price("BTC/USD", 50900)
    live.run("check-positions")

    told = [line.split(": ", 1)[1] for line in (home / "log").read_text().splitlines()]
    bought, sold = live.orders()
    moved = f"stop moved from {float(bought['average_price']) - 1000:.8g}"
    assert told == [
        "the Fear & Greed index can't be read: <urlopen error [Errno 111] Connection refused>",  # for the question
        "council: BTC/USD BUY at 50000 (told so)",
        f"sending buy 0.002 BTC/USD ({bought['client_order_id']})",
        f"bought {ending(bought)}",
        "council: BTC/USD BUY: bought: trade 1",
        f"BTC/USD trade 1: price 52000, stop 51000, high 52000: {moved}",
        "BTC/USD trade 1: price 50900, stop 51000, high 52000: sell (TRAILING_STOP)",
        f"sending sell 0.002 BTC/USD ({sold['client_order_id']})",
        f"sold {ending(sold)}",
    ]


def ending(order: dict[str, Any]) -> str:
    price, fee = float(order["average_price"]), format_decimal(Decimal(order["fee"]))
    return f"0.002 BTC/USD at {price:.8g}, fee {fee}: FILLED ({order['client_order_id']})"


def test_the_log_as_json_is_one_object_a_line_with_the_figures_by_name(
    live: BotRunner, kraken: FakeKraken, home: Path
) -> None:
    live.set(LOG_FILE="log")

    run = live.run("buy", "BTC/USD", "100", "--yes", "--log-json")

    assert (run.exit_code, run.stderr) == (0, "")
    [order] = live.orders()
    sending, bought = json_lines((home / "log").read_text())
    assert {"at", "level", "logger", "pid", "message"} <= set(sending)
    assert sending["at"].endswith("Z")
    for line in (sending, bought):
        assert (line["symbol"], line["side"], line["client_order_id"]) == ("BTC/USD", "buy", order["client_order_id"])
    assert (bought["filled"], bought["fee"], bought["state"]) == (order["filled"], order["fee"], "FILLED")


def test_everything_on_stderr_is_json_then(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("pause", "--freeze")
    buy_run = live.run("--log-json", "buy", "BTC/USD", "100", "--yes")
    frozen = live.run("--log-json", "tick")
    kraken.key.permissions.remove("query-funds")
    live.run("resume")
    failed = live.run("tick", "--log-json", "--debug")

    assert [line["level"] for line in json_lines(buy_run.stderr)] == ["error"]
    [notice] = json_lines(frozen.stderr)
    assert (notice["level"], notice["message"][:7]) == ("notice", "frozen:")
    assert {"debug", "error"} <= {line["level"] for line in json_lines(failed.stderr)}


def test_a_notice_is_a_line_of_its_own_on_stderr_and_stands_in_the_log(live: BotRunner, home: Path) -> None:
    live.set(LOG_FILE="log")
    live.run("pause", "--freeze")

    run = live.run("tick")

    assert run.stderr == "botctl: frozen: 0 positions are unguarded, and nothing is traded\n"
    assert "NOTICE botctl: frozen: 0 positions" in (home / "log").read_text()


def test_a_log_that_has_grown_too_long_is_put_aside_and_five_are_kept(bot: BotRunner, home: Path) -> None:
    bot.set(LOG_FILE="log", LOG_LEVEL="DEBUG")
    for number in range(8):
        (home / "log").write_text(f"{number}\n" + "x" * log.MAX_LOG_BYTES)
        assert bot.run("resume").exit_code == 0
    assert bot.run("tick").exit_code == 0

    kept = {path.name: path.read_text()[0] for path in home.iterdir() if path.name.startswith("log.")}
    assert kept == {"log.1": "7", "log.2": "6", "log.3": "5", "log.4": "4", "log.5": "3"}
    assert 0 < (home / "log").stat().st_size < 100_000
    assert stat.S_IMODE((home / "log").stat().st_mode) == 0o600


def test_a_log_of_usual_length_is_left_alone(bot: BotRunner, home: Path) -> None:
    bot.set(LOG_FILE="log")
    (home / "log").write_text("x" * log.MAX_LOG_BYTES)

    bot.run("tick")

    assert not (home / "log.1").exists()


WRITES_ON = """
import logging, sys
from pathlib import Path
from botctl.cli.log import start_log
from botctl.domain.configuration.settings import parse_settings
from botctl.config import Config
folder = Path(sys.argv[1])
start_log(Config(folder, folder / ".env", parse_settings({"LOG_FILE": "log"})), debug=False)
for number in range(2000):
    logging.getLogger("botctl").info("%s line %d", sys.argv[2], number)
"""


@pytest.mark.long
def test_of_runs_that_put_it_aside_and_write_at_once_no_line_is_lost(home: Path) -> None:
    (home / "log").write_text("x" * (log.MAX_LOG_BYTES + 1) + "\n")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", WRITES_ON, str(home), name], env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        for name in "abcd"
    ]

    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0, 0]
    text = "".join(path.read_text() for path in home.iterdir())
    assert text.count(" line ") == 8000
    assert sorted(path.name for path in home.iterdir()) == ["log", "log.1"]


def test_a_run_that_was_too_late_to_put_it_aside_leaves_the_new_one_alone(home: Path) -> None:
    (home / "log").write_text("x" * (log.MAX_LOG_BYTES + 1))
    with (home / "log").open("a") as late:  # it has seen the long one, and another run was faster
        (home / "log").rename(home / "log.1")
        (home / "log").write_text("the new one")
        log._rotate(home / "log", late.fileno())

    assert (home / "log").read_text() == "the new one"


def test_a_log_that_can_not_be_put_aside_goes_on(bot: BotRunner, home: Path) -> None:
    bot.set(LOG_FILE="log")
    (home / "log").write_text("x" * (log.MAX_LOG_BYTES + 1))
    (home / "log.4").touch()
    (home / "log.5").mkdir()

    run = bot.run("tick")

    assert run.exit_code == 0
    assert "can't rotate LOG_FILE" in run.stderr
    assert (home / "log").stat().st_size > log.MAX_LOG_BYTES


def in_the_journal(bot: BotRunner, *arguments: str, named: str | None = None) -> list[str]:
    """What a run writes on a stderr that systemd reads: a file here, named as systemd names its stream."""
    with (bot.home / "journal").open("w") as stream:
        place = os.fstat(stream.fileno())
        subprocess.run(
            [sys.executable, "-m", "botctl", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            cwd=bot.home,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "JOURNAL_STREAM": named or f"{place.st_dev}:{place.st_ino}",
            },
            timeout=60,
            check=False,
        )
    return (bot.home / "journal").read_text().splitlines()


def test_in_the_journal_each_line_begins_with_its_priority_and_decisions_are_there(bot: BotRunner) -> None:
    council_says(bot, "BUY")
    lines = in_the_journal(bot, "tick")

    assert any(line.startswith("<6>sending buy ") for line in lines), lines
    assert any(line.startswith("<6>council: BTC/USD BUY") for line in lines)
    assert [line for line in lines if not line.startswith("<6>")] == []


@pytest.mark.long
def test_in_the_journal_an_error_has_its_priority_in_words_and_in_json(bot: BotRunner) -> None:
    [words] = in_the_journal(bot, "buy", "nonsense", "1")
    [told] = in_the_journal(bot, "--log-json", "buy", "nonsense", "1")

    assert words.startswith("<3>botctl: ")
    assert told.startswith("<3>{")
    assert json.loads(told[3:])["level"] == "error"


@pytest.mark.long
@pytest.mark.parametrize("named", ["1:2", "nonsense"])
def test_a_stream_that_systemd_does_not_read_is_no_journal(bot: BotRunner, named: str) -> None:
    assert in_the_journal(bot, "tick", named=named) == []


def test_every_priority_is_one_of_syslogs() -> None:
    assert set(log.PRIORITIES.values()) <= set(range(8))
    assert log.PRIORITIES[logging.ERROR] < log.PRIORITIES[logging.WARNING] < log.PRIORITIES[log.NOTICE]
