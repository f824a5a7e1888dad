"""The report: what is in its page, that nothing else is, and what its command refuses."""

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.orders import OrderState
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, files_in
from tests.cli.pages import Page, read_page, trace
from tests.fake_kraken import FakeKraken
from tests.fields import REPORT
from tests.quick import parametrize, parametrize_pairs

TAPE = PROJECT / "data" / "tape"
BTC, ETH = str(TAPE / "BTC-USD.csv"), str(TAPE / "ETH-USD.csv")
NASTY = "</script><script>alert(1)</script><img src=http://example.com/x onerror=alert(2)>&\"'"


@pytest.fixture
def page(veteran: BotRunner) -> Page:
    """The page of a demo home with a past."""
    run = veteran.run("report")
    assert run.exit_code == 0, run.stderr
    assert run.stdout == f"{veteran.home / 'report.html'}\n"
    assert run.stderr == ""
    return read_page(veteran.home / "report.html")


@pytest.fixture
def study(bot: BotRunner) -> Page:
    """The page of a backtest on the demo's tape."""
    assert bot.run("report", BTC, ETH, "--sentiment", BTC).exit_code == 0
    return read_page(bot.home / "backtest.html")


# What is in it


def test_the_page_of_a_database_has_the_numbers_that_trades_tells(veteran: BotRunner, page: Page) -> None:
    told = veteran.json("trades", "--limit", "1000")

    rows = page.tables["Trades"]
    assert [row["id"] for row in rows] == [str(trade["id"]) for trade in reversed(told)]
    for row, trade in zip(rows, reversed(told), strict=True):
        assert (row["symbol"], row["status"], row["reason"]) == (
            trade["symbol"],
            trade["status"],
            trade["exit_reason"] or "-",
        )
        for column, name in (
            ("amount", "amount"),
            ("entry price", "entry_price"),
            ("exit price", "exit_price"),
            ("P&L", "pnl"),
            ("stop", "stop_loss_price"),
        ):
            assert row[column] == (trade[name] or "-")
    assert any(row["P&L"] != "-" for row in rows)


@pytest.mark.long
def test_the_page_of_a_backtest_has_the_numbers_that_backtest_tells(bot: BotRunner, study: Page) -> None:
    told = bot.json("backtest", BTC, ETH, "--sentiment", BTC)

    rows = study.tables["Trades"][::-1]
    assert len(rows) == len(told["trades"]) > 10
    for row, trade in zip(rows, told["trades"], strict=True):
        for column, name in (("entry price", "entry_price"), ("exit price", "exit_price"), ("P&L", "pnl")):
            assert row[column] == (trade[name] or "-")
    shown = f"{Decimal(told['equity']):,.2f} of 10,000.00 USD"
    sharpe = f"{Decimal(told['sharpe']):.2f}, {Decimal(told['sortino']):.2f}"
    drawdown = f"{100 * Decimal(told['max_drawdown']):.2f} %"
    for words in (shown, sharpe, drawdown):
        assert f"<dd>{words}</dd>" in study.text


@parametrize("kind", ["page", "study"], quick=1)
def test_every_trade_is_drawn_on_its_candles_with_a_stop_that_never_falls(
    kind: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(kind)

    rows = {row["id"]: row for row in page.tables["Trades"]}
    drawn = {key.removeprefix("trade:"): chart for key, chart in page.charts.items() if key.startswith("trade:")}
    assert set(drawn) == set(list(rows)[:100])
    for number, chart in drawn.items():
        row, stop, candles = rows[number], trace(chart, "stop"), trace(chart, "candles")
        assert stop["y"] == sorted(stop["y"])
        assert stop["y"][-1] == pytest.approx(float(row["stop"]))
        assert trace(chart, "entry")["y"] == [pytest.approx(float(row["entry price"]))]
        assert candles["x"][0] < trace(chart, "entry")["x"][0] <= candles["x"][-1] + 900_000
        if row["exit price"] != "-":
            assert trace(chart, "exit")["y"] == [pytest.approx(float(row["exit price"]))]
            assert stop["x"][-1] == trace(chart, "exit")["x"][0]


@pytest.mark.long
def test_plotly_knows_every_word_that_the_charts_are_told_in(page: Page, study: Page) -> None:
    from plotly.graph_objects import Figure

    def painted(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: painted(one) for key, one in value.items()}
        if isinstance(value, list):
            return [painted(one) for one in value]
        return "#123456" if isinstance(value, str) and value.startswith("--") else value

    for chart in [*page.charts.values(), *study.charts.values()]:
        Figure(painted(chart))  # raises for what it does not know


def test_decisions_and_orders_are_all_counted(veteran: BotRunner, page: Page) -> None:
    decisions = veteran.json("why", "BTC/USD", "--limit", "1000") + veteran.json("why", "ETH/USD", "--limit", "1000")
    orders = [row for row in veteran.json("orders", "--limit", "1000") if row["state"] == OrderState.FILLED]

    decision_spans, slippages = page.tables["Decisions"], page.tables["Slippage of orders"]
    assert sum(int(row["count"]) for row in decision_spans) == len(decisions)
    assert {row["reason"] for row in decision_spans} == {row["reason"] for row in decisions}
    assert [row["filled at"] for row in slippages] == [row["average_price"] for row in reversed(orders)]


def test_slippage_names_the_price_that_it_is_measured_by(page: Page) -> None:
    rows = page.tables["Slippage of orders"]

    for row in rows:
        expected, average, hurts = (Decimal(row[name]) for name in ("expected", "filled at", "slippage"))
        change = average / expected - 1 if row["side"] == "buy" else 1 - average / expected
        assert hurts == round(change, 8)
    entries = [row for row in rows if row["reason"] == "entry"]
    assert {row["expected is"] for row in entries} == {"last price when decided"}
    assert {row["expected is"] for row in rows if row["reason"].endswith("STOP")} <= {"the stop"}
    assert all(Decimal(row["slippage"]) > 0 for row in entries)


@pytest.mark.long
def test_the_slippage_of_a_backtest_is_the_one_it_was_told(bot: BotRunner) -> None:
    bot.run("report", BTC, "--slippage", "0.001", "--exit-slippage", "0.004")

    rows = read_page(bot.home / "backtest.html").tables["Slippage of orders"]

    assert {row["expected is"] for row in rows} == {"the next candle's open"}
    told = {"buy": Decimal("0.001"), "sell": Decimal("0.004")}
    assert {row["side"] for row in rows} == {*told}
    assert all(abs(Decimal(row["slippage"]) - told[row["side"]]) < Decimal("0.00001") for row in rows)


def test_an_empty_database_makes_a_page_too(bot: BotRunner) -> None:
    answer = bot.json("report")

    page = read_page(answer["file"])
    assert set(answer) == REPORT
    assert (answer["trades"], answer["trades_drawn"], answer["png"]) == (0, 0, None)
    assert page.tables == {}
    for words in ("no trades yet", "No data yet", "no decisions yet", "no filled orders yet"):
        assert words in page.text


def test_without_candles_a_trade_is_drawn_from_its_own_prices_and_fetch_mends_it(
    live: BotRunner, kraken: FakeKraken
) -> None:
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 0
    kraken.set_price("BTC/USD", 52000)
    live.run("tick")
    kraken.set_price("BTC/USD", 50500)
    live.run("tick")

    bare = read_page(live.json("report")["file"])
    live.run("fetch", "BTC/USD")
    dressed = read_page(live.json("report")["file"])

    chart = bare.charts["trade:1"]
    assert "`botctl fetch BTC/USD`" in bare.text
    assert trace(chart, "no candles")["y"] == [50000, 50500]
    assert trace(chart, "stop")["y"] == [49000, 51000, 51000]
    assert "`botctl fetch BTC/USD`" not in dressed.text
    assert trace(dressed.charts["trade:1"], "candles")["close"][-1] == 50000
    by_hand, by_stop = bare.tables["Slippage of orders"][::-1]
    assert (by_hand["expected"], by_hand["expected is"], by_hand["slippage"]) == ("-", "not recorded", "-")
    assert (by_stop["expected"], by_stop["expected is"]) == ("51000.0", "the stop")


def test_where_no_initial_balance_is_set_nothing_is_measured_from_one(live: BotRunner) -> None:
    live.run("tick")
    live.unset("INITIAL_BALANCE", "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY")

    page = read_page(live.json("report")["file"])

    assert "<dd>10,000.00 of - USD</dd>" in page.text
    assert "<dt>return</dt><dd>-</dd>" in page.text
    assert [line["name"] for line in page.charts["equity"]["data"]] == ["equity", "buy and hold"]


@pytest.mark.long
def test_only_the_newest_trades_are_drawn_and_the_table_has_all(bot: BotRunner) -> None:
    answer = bot.json("report", BTC, "--trades", "3")

    page = read_page(answer["file"])
    newest = [f"trade:{answer['trades'] - place}" for place in range(3)]
    assert list(page.charts) == ["equity", "drawdown", *newest]
    assert len(page.tables["Trades"]) == answer["trades"]
    assert answer["trades_drawn"] == 3


@pytest.mark.long
def test_five_thousand_trades_are_a_page_within_a_second(bot: BotRunner) -> None:
    """On a machine that counts to ten million in 0.45 seconds; on a slower one in as much longer."""
    from botctl.cli.page.build import open_source, render
    from botctl.config import load_config
    from botctl.store.database import open_to_read

    write_many_trades(bot, 5_000)
    config = load_config()
    pace = max(1.0, time_of(lambda: sum(number for number in range(10_000_000))) / 0.45)
    with open_to_read(config.database, config.settings.botctl_mode):
        source = open_source(config, runner=(None, True))
        taken = time_of(lambda: render(source, "plotly.js", on_disk=True))

    assert len(source.trades()) == 5_000
    assert taken < pace, f"{taken:.2f} s at a pace of {pace:.1f}"


def time_of(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def write_many_trades(bot: BotRunner, count: int) -> None:
    """Trades as a paper bot leaves them, with their orders and stops, in the open database of the demo."""
    from botctl.store.models import Event, Order, Tick, Trade, database

    bot.json("status")
    bot.open_store()
    start, price = datetime(2024, 1, 1, tzinfo=UTC), Decimal(50_000)
    trades, orders, events, ticks = [], [], [], []
    for number in range(1, count + 1):
        at, out = start + timedelta(hours=number), start + timedelta(hours=number + 8)
        trades.append({
            "symbol": "BTC/USD", "asset": "BTC", "mode": "demo", "status": "CLOSED", "created_at": at,
            "amount": Decimal("0.002"), "entry_amount": Decimal("0.002"), "entry_price": price,
            "entry_cost": Decimal(100), "entry_fee": Decimal("0.4"), "entry_time": at,
            "atr": 500.0, "stop_loss_price": 49_500.0, "high_price": 50_500.0, "sold_amount": Decimal("0.002"),
            "exit_proceeds": Decimal(101), "exit_price": price + number % 7 * 100, "exit_fee": Decimal("0.4"),
            "exit_time": out, "exit_reason": "TRAILING_STOP", "pnl": Decimal("0.2"), "mark": f"m{number:06}",
            "initial_stop_loss_price": 49_000.0,
        })  # fmt: skip
        orders += [
            {
                "client_order_id": f"{side}{number}", "trade": number, "side": side, "symbol": "BTC/USD",
                "state": "FILLED", "reason": reason, "amount": Decimal("0.002"), "cost": Decimal(100),
                "filled": Decimal("0.002"), "average_price": price, "fee": Decimal("0.4"),
                "deadline": at, "created_at": at, "settled_at": at,
            }
            for side, reason in (("buy", None), ("sell", "TRAILING_STOP"))
        ]  # fmt: skip
        events += [
            {"at": at, "kind": "stop", "trade_id": number, "before": {}, "after": {"stop_loss_price": stop}, "why": ""}
            for stop in (49_000.0, 49_250.0, 49_500.0)
        ]
        ticks.append(
            {"at": at, "seconds": 1.0, "ok": True, "exit_code": 0, "steps": [], "equity": price / 5 + number % 97}
        )
    with database.atomic():
        for table, rows in ((Trade, trades), (Order, orders), (Event, events), (Tick, ticks)):
            for begin in range(0, len(rows), 500):
                table.insert_many(rows[begin : begin + 500]).execute()


# That nothing else is in it


@parametrize("kind", ["page", "study"], quick=1)
def test_the_page_loads_nothing_and_forbids_loading(kind: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(kind)

    assert [one for one in page.references if not one.startswith("#")] == []
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in page.policy
    assert page.policy.count("sha256-") == 2
    assert not {"link", "iframe", "img", "object", "embed", "base", "form"} & set(page.tags)


def test_words_from_outside_are_only_text(veteran: BotRunner) -> None:
    from botctl.store.database import close_database
    from botctl.store.models import Decision, Trade

    veteran.run("pause", "--reason", NASTY)
    veteran.open_store()
    Decision.update(reason=NASTY, outcome=NASTY).execute()
    Trade.update(exit_reason=NASTY).where(Trade.status == "CLOSED").execute()
    close_database()
    assert veteran.run("report").exit_code == 0

    page = read_page(veteran.home / "report.html")

    assert NASTY not in page.text
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert page.tables["Decisions"][0]["reason"] == NASTY


def test_files_are_for_their_owner_and_replaced_whole(veteran: BotRunner) -> None:
    target = veteran.home / "report.html"
    target.write_text("old")
    target.chmod(0o644)

    veteran.run("report", "--png", str(veteran.home / "chart.png"), "--output", str(target))

    assert target.stat().st_mode & 0o777 == 0o600
    assert (veteran.home / "chart.png").stat().st_mode & 0o777 == 0o600
    assert target.read_text().startswith("<!doctype html>")
    assert {name for name in files_in(veteran.home) if "/" not in name} == {"report.html", "chart.png"}


# The picture


@parametrize_pairs(("files", "chart"), [(), (BTC,)], ["equity", "drawdown", "trade:1"], quick=1)
def test_one_chart_as_a_png(veteran: BotRunner, chart: str, files: tuple[str, ...]) -> None:
    answer = veteran.json("report", *files, "--png", "chart.png", "--chart", chart)

    picture = Path(answer["png"]).read_bytes()
    assert answer["file"] is None
    assert not (veteran.home / "report.html").exists()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (1500, 750)
    assert len(picture) > 15_000


def test_a_png_of_nothing_yet(bot: BotRunner) -> None:
    assert bot.run("report", "--png", "chart.png").exit_code == 0


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--output", "data/demo.db"), "--output data/demo.db must end in .html"),
        (("--png", "chart.jpg"), "--png chart.jpg must end in .png"),
        (("--png", "a.png", "--chart", "trade:99999"), "--chart trade:99999: no such trade"),
        (("--png", "a.png", "--chart", "profit"), "--chart 'profit' is not a chart"),
        (("--chart", "trade:1"), "--chart needs --png"),
        (("--fee", "0.1"), "--fee is for a backtest"),
        (("--atr-multiple", "3"), "--atr-multiple is for a backtest"),
        (("--from", "2024-01-01"), "--from is for a backtest"),
        ((BTC, "--fee", "much"), "--fee 'much' must be a number, or tier1 to tier9"),
    ],
)
def test_what_can_not_be_meant_is_named(veteran: BotRunner, arguments: tuple[str, ...], words: str) -> None:
    before = files_in(veteran.home)

    check_error(veteran.run("report", *arguments), 2, words)

    assert set(files_in(veteran.home)) == set(before)


def test_a_folder_that_is_not_there_is_named(veteran: BotRunner) -> None:
    check_error(veteran.run("report", "--output", "nowhere/report.html"), 78, "nowhere/report.html", "No such file")


def test_a_candle_file_that_can_not_be_believed_is_named(live: BotRunner) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")
    folder = live.home / "data" / "candles"
    folder.mkdir()
    (folder / "BTC-USD_15m.csv").write_text("nonsense\n")

    check_error(live.run("report"), 2, "BTC-USD_15m.csv")


@parametrize(("library", "arguments"), [("plotly", ()), ("matplotlib", ("--png", "a.png"))], quick=1)
def test_a_missing_library_is_told_with_the_line_that_installs_it(
    bot: BotRunner, library: str, arguments: tuple[str, ...]
) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None;"
        f"from botctl.cli.app import run_command; sys.exit(run_command(['report', *{arguments!r}]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, timeout=120)

    assert run.returncode == 78
    assert run.stdout == ""
    assert run.stderr.startswith(f"botctl: a {'PNG' if arguments else 'report'} needs {library}")
    assert "pip install 'botctl[report]'" in run.stderr


@pytest.mark.long
def test_it_opens_a_browser_when_asked_and_only_then(veteran: BotRunner) -> None:
    browser, opened = veteran.home / "browser", veteran.home / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o700)
    veteran.set(BROWSER=f"{browser} %s")

    assert veteran.process("report").exit_code == 0
    assert not opened.exists()
    assert veteran.process("report", "--open").exit_code == 0
    assert opened.read_text() == f"file://{veteran.home}/report.html\n"


def test_a_page_needs_neither_ccxt_nor_pandas_nor_matplotlib(veteran: BotRunner) -> None:
    script = (
        "import sys; from botctl.cli.app import run_command; code = run_command(['report']);"
        "print([name for name in ('ccxt', 'pandas', 'numba', 'matplotlib', 'rich') if name in sys.modules], code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=veteran.home,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=120,
    )

    assert run.stdout.splitlines()[-1] == "[] 0"
