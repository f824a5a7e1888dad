"""REPORT_FILE: the page keeps itself, after trades and once in REPORT_EVERY, and costs a run nothing else."""

import base64
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.errors import ConfigError
from botctl.monitoring import metrics
from botctl.monitoring.collect import closed_trade_in
from botctl.monitoring.page import claim_page
from tests.bot_runner import BotRunner
from tests.cli.pages import read_page
from tests.fake_kraken import FakeKraken
from tests.listener import Listener
from tests.scenarios.steps import buy, output_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def shown(live: BotRunner) -> BotRunner:
    """A live bot with a page, without a Council."""
    live.set(REPORT_FILE="page/index.html")
    (live.home / "page").mkdir()
    live.run("pause")
    return live


def files_of(page: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and inode of each file beside the page: a new inode is a file written anew."""
    found = {file.name: file.stat() for file in page.parent.iterdir()}
    return {name: (stat.st_mode & 0o777, stat.st_size, stat.st_ino) for name, stat in found.items()}


def test_a_tick_writes_the_page_and_the_next_one_leaves_it_until_a_trade(
    shown: BotRunner, kraken: FakeKraken, home: Path
) -> None:
    page = home / "page" / "index.html"
    first = shown.run("tick")
    before = files_of(page)
    shown.run("tick")
    quiet = files_of(page)
    shown.run("resume")
    buy(shown)
    traded = files_of(page)

    assert (first.exit_code, first.stdout, first.stderr) == (0, "", "")
    [bundle] = set(before) - {"index.html"}
    assert re.fullmatch(r"plotly-[0-9.]+\.min\.js", bundle)
    assert {mode for mode, _, _ in before.values()} == {0o600}
    assert before["index.html"][1] < 100_000 < before[bundle][1]
    assert quiet == before
    assert traded["index.html"] != before["index.html"]
    assert traded[bundle] == before[bundle]
    content = read_page(page)
    assert [row["symbol"] for row in content.tables["Open positions"]] == ["BTC/USD"]
    assert [one for one in content.references if not one.startswith("#")] == [bundle]
    assert content.policy.startswith("default-src 'none'; script-src 'self' file: 'sha256-")


def test_a_page_is_due_after_a_trade_and_once_in_an_hour(live: BotRunner, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    def due(after: timedelta, *, hourly: bool = True, file: Path = page) -> bool:
        return claim_page(file, HOUR, NOW + after, hourly=hourly)

    live.open_store()
    assert not due(timedelta(0), hourly=False)  # no trade, and a command that is no tick
    assert due(timedelta(0))
    assert not due(timedelta(minutes=59))
    assert due(HOUR)
    assert not due(2 * HOUR, hourly=False)
    assert due(timedelta(0))  # a clock that was set back
    assert due(timedelta(minutes=1), file=tmp_path / "other.html")
    live.run("buy", "BTC/USD", "100", "--yes")
    live.open_store()
    assert due(timedelta(minutes=2), hourly=False, file=tmp_path / "other.html")
    assert not due(timedelta(minutes=2), hourly=False, file=tmp_path / "other.html")


def test_without_the_extra_it_is_said_once_by_the_tick_and_by_each_check(
    shown: BotRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)

    first, second = shown.run("tick"), shown.run("tick")
    check, doctor = shown.run("config", "check"), shown.json("doctor")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "REPORT_FILE is set but plotly is not installed: pip install 'botctl[report]'" in first.stderr
    assert second.stderr == ""
    assert check.exit_code == 0
    assert "REPORT_FILE is set but plotly is not installed" in " ".join(check.stdout.split())
    [row] = [row for row in doctor if row["name"] == "page"]
    assert (row["status"], row["fix"]) == ("warn", "pip install 'botctl[report]'")


def test_a_file_that_is_no_page_is_never_replaced(shown: BotRunner, home: Path) -> None:
    mine = home / "page" / "index.html"
    shown.open_store()
    assert claim_page(mine, HOUR, NOW, hourly=True)  # all was well once
    mine.write_text("my own page")

    run = shown.run("tick")

    assert run.exit_code == 0
    assert "is not a page of botctl" in run.stderr
    assert mine.read_text() == "my own page"


def test_what_is_no_file_is_neither_read_nor_replaced(live: BotRunner, home: Path) -> None:
    os.mkfifo(home / "pipe")  # whoever opens it waits for ever
    live.open_store()
    for path in (home / "pipe", Path(os.devnull)):
        with pytest.raises(ConfigError, match="is not a file"):
            claim_page(path, HOUR, NOW, hourly=True)
        problem = metrics.problem_with_file(path)
        assert problem is not None
        assert "is not a file" in str(problem)


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(shown: BotRunner, home: Path) -> None:
    folder = home / "page"
    for name in (".index.html.old", ".plotly-1.0.min.js.old", ".index.html.new", ".mine.old"):
        (folder / name).write_text("half")
        if name.endswith("old"):
            os.utime(folder / name, (0, 0))

    shown.run("tick")

    assert {file.name for file in folder.glob(".*")} == {".index.html.new", ".mine.old"}


@pytest.mark.long
@pytest.mark.waits(30)
def test_a_page_that_hangs_is_given_up_and_the_tick_has_done_its_work(shown: BotRunner, home: Path) -> None:
    (home / "data" / "candles").mkdir(parents=True)
    os.mkfifo(home / "data" / "candles" / "BTC-USD_15m.csv")  # whoever reads it waits for ever
    shown.run("resume")

    run = shown.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, output_of(run)
    assert "there is no new page: not ready within 30 seconds" in run.stderr
    assert not (home / "page" / "index.html").exists()


# The chart in a message


def test_the_message_of_a_closed_trade_carries_its_chart(
    live: BotRunner, kraken: FakeKraken, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.set(NOTIFY_URLS=f"json://{listener.address}/me")
    buy(live)
    live.run("sell", "BTC/USD", "--yes")
    buy_message, sell_message = (request.json() for request in listener.received)
    kraken.set_price("ETH/USD", 3000)
    listener.clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    live.run("buy", "BTC/USD", "100", "--yes")
    live.run("sell", "BTC/USD", "--yes")

    assert buy_message["attachments"] == []
    [picture] = sell_message["attachments"]
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG")
    assert "closed" in sell_message["message"]
    without: list[Any] = [request.json() for request in listener.received]
    assert [message["attachments"] for message in without] == [[] for _ in without]


@pytest.mark.parametrize(
    ("message", "trade"),
    [
        ("BTC/USD closed at 48,912.00 (STOP_LOSS), P&L -2.41 USD (trade 7)", 7),
        ("BTC/USD closed (EXTERNAL), P&L unknown (trade 12): forgotten (trade 3)", 12),
        ("bought 0.002 BTC/USD at 50,000.00 for 100.00 USD, stop 49,000.00 (trade 7)", None),
        ("the agent said: BTC/USD closed, P&L 1 (trade 9)", None),
    ],
)
def test_only_an_exit_has_a_chart(message: str, trade: int | None) -> None:
    assert closed_trade_in(message) == trade
