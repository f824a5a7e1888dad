"""Somebody is told what matters, through the real apprise: once, also after a crash, and never at an exit's expense."""

import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from botctl.domain.configuration.settings import Secret
from botctl.monitoring.alerts import Level
from botctl.monitoring.sender import SENDER, OutgoingMessage, send_messages
from botctl.store.models import KeyValue
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.listener import Listener
from tests.quick import parametrize
from tests.scenarios.steps import (
    QUARTER,
    buy,
    execute_sql,
    output_of,
    prove_initial_balance,
    requested_endpoints,
    sides,
    stopped_clock,
)


@pytest.fixture
def notified(live: BotRunner, listener: Listener, no_charts: None) -> BotRunner:
    """A live bot that sends its notifications to the listener."""
    live.set(NOTIFY_URLS=f"json://{listener.address}/me")
    live.run("pause")  # no Council: what is reported is what the test does
    return live


def row_counts(live: BotRunner) -> dict[str, int]:
    rows = live.rows()
    return {name: len(rows[name]) for name in ("outgoing", "alarm")}


def test_a_quiet_tick_says_nothing_and_starts_no_courier(notified: BotRunner, listener: Listener) -> None:
    run = notified.run("tick")

    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "")
    assert listener.received == []
    assert row_counts(notified) == {"outgoing": 0, "alarm": 0}


def test_entry_and_exit_are_told_once_each_with_the_profit(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    notified.run("resume")
    buy(notified)
    kraken.set_price("BTC/USD", 48999)
    notified.run("pause")
    run = notified.run("tick")
    notified.run("tick")

    assert run.exit_code == 0, output_of(run)
    bought, sold = listener.lines
    assert bought.startswith("bought 0.002 BTC/USD at 50,0")
    assert "stop 49,0" in bought
    assert "BTC/USD closed at 48,9" in sold
    assert "STOP_LOSS" in sold
    assert f"P&L {float(notified.trades()[0]['pnl']):+,.2f} USD" in sold
    assert listener.received[0].json()["title"].startswith("botctl live on ")
    assert row_counts(notified)["outgoing"] == 0


@pytest.mark.long
@pytest.mark.parametrize("command", [("check-positions",), ("sell", "BTC/USD", "--yes"), ("liquidate", "--yes")])
def test_every_way_out_is_told_at_once(
    notified: BotRunner, kraken: FakeKraken, listener: Listener, command: tuple[str, ...]
) -> None:
    notified.run("resume")
    buy(notified)
    kraken.set_price("BTC/USD", 48999)
    listener.clear()

    run = notified.run(*command)

    assert run.exit_code == 0, output_of(run)
    [line] = listener.lines
    assert "BTC/USD closed" in line


@pytest.mark.long
def test_an_exit_whose_run_was_killed_right_after_it_is_told_by_the_next_tick(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    """The process dies while it asks for the second symbol's candles: the stop's sale is long written down."""
    notified.set(SYMBOLS="BTC/USD,ETH/USD")  # the first is not bought again for a while
    notified.run("resume")
    buy(notified)
    listener.clear()
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()
    kraken.fault("OHLC", "hang_before", seconds=30)
    process = notified.fork("tick")
    wait_for(lambda: "OHLC" in requested_endpoints(kraken))
    closed = notified.trades()[0]["status"] == "CLOSED"
    process.kill()
    process.wait(10)
    kraken.release()
    assert (closed, process.returncode, listener.received) == (True, -signal.SIGKILL, [])

    notified.run("pause")
    run = notified.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert ["closed" in line for line in listener.lines] == [True]


def test_what_could_not_be_sent_is_sent_by_the_next_tick(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    notified.run("resume")
    listener.status = 503
    run = notified.run("buy", "BTC/USD", "100", "--yes")
    listener.clear()
    kept = row_counts(notified)["outgoing"]

    listener.status = 200
    notified.run("pause")
    notified.run("tick")
    notified.run("tick")

    assert run.exit_code == 0
    assert (
        "warning: a notification waits for the next run: json://*** refused the message or can't be reached"
        in run.stderr
    )
    assert "(HTTP 503)" in run.stderr
    assert listener.address not in run.stderr
    assert kept == 1
    assert len(listener.lines) == 1
    assert row_counts(notified)["outgoing"] == 0


@pytest.mark.long
def test_one_dead_service_of_two_gets_its_message_later_and_the_other_no_second_one(
    notified: BotRunner, listener: Listener
) -> None:
    with Listener() as other:
        notified.set(NOTIFY_URLS=f"json://{listener.address}/a, json://{other.address}/b")
        other.status = 500
        notified.run("resume")
        buy(notified)
        other.clear()
        other.status = 200
        notified.run("pause")
        notified.run("tick")

        assert len(listener.lines) == len(other.lines) == 1


@pytest.mark.waits
@parametrize("way", ["hangs", "drips"], quick=1)
def test_a_service_that_hangs_holds_up_no_sale_and_no_lock_and_its_process_for_a_bounded_time(
    notified: BotRunner, kraken: FakeKraken, listener: Listener, way: str
) -> None:
    notified.run("resume")
    buy(notified)
    notified.run("pause")
    listener.clear()
    setattr(listener, way, True)
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()

    started = time.monotonic()
    process = notified.fork("tick")
    wait_for(lambda: listener.received)
    sold_before_it_was_told = list(sides(kraken))
    second = notified.run("check-positions")  # the lock is free meanwhile
    process.communicate(timeout=40)

    assert sold_before_it_was_told == ["buy", "sell"]
    assert second.exit_code == 0
    assert process.returncode == 0
    assert time.monotonic() - started < 25


@pytest.mark.long
def test_ctrl_c_while_a_service_hangs_ends_the_run_at_once_and_the_message_is_kept(
    notified: BotRunner, listener: Listener
) -> None:
    notified.run("resume")
    listener.hangs = True
    process = notified.fork("buy", "BTC/USD", "100", "--yes")
    wait_for(lambda: listener.received)

    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)

    assert time.monotonic() - started < 8  # a message has 10 seconds
    assert row_counts(notified)["outgoing"] == 1


@pytest.mark.long
def test_positions_that_nobody_guards_are_an_alarm_until_somebody_does(notified: BotRunner, listener: Listener) -> None:
    notified.run("resume")
    buy(notified)
    listener.clear()
    with stopped_clock() as clock:
        notified.run("pause", "--freeze")
        for _ in range(4):
            notified.run("tick")
            clock.tick(QUARTER)
        notified.run("resume")
        notified.run("pause")
        notified.run("check-positions")

    assert [line.split(":")[0] for line in listener.lines] == [
        "1 open position is unguarded",
        "for 15 min",  # a quarter of an hour later
        "resolved after 60 min",
    ]
    assert "BTC/USD (trade 1, frozen)" in listener.lines[0]


@pytest.mark.long
def test_the_third_failing_tick_in_a_row_is_an_alarm_and_a_good_one_its_end(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    kraken.key.permissions.remove("query-funds")
    with stopped_clock() as clock:
        for number in range(4):
            assert notified.run("tick").exit_code != 0
            assert bool(listener.received) == (number >= 2)
            clock.tick(QUARTER)
        kraken.key.permissions.add("query-funds")
        notified.run("tick")

    assert "the tick has failed 3 times in a row" in listener.lines[0]
    assert "look: " in listener.lines[0]
    assert listener.lines[-1].startswith("resolved after")


@pytest.mark.long
def test_an_order_of_unknown_outcome_is_told_and_so_is_its_end(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    notified.run("resume")
    with stopped_clock() as clock:
        buy(notified)
        notified.run("pause")
        listener.clear()
        kraken.set_price("BTC/USD", 48999)
        leave_a_sell_in_doubt(notified)
        assert notified.run("tick").exit_code == 69
        [first] = listener.lines
        listener.clear()
        clock.tick(QUARTER)
        notified.run("tick")

    assert "the outcome of an order is unknown: sell 0.002 BTC/USD, state UNKNOWN" in first
    assert IN_DOUBT in first
    assert [line.split(" ")[0] for line in listener.lines] == ["BTC/USD", "resolved"], listener.lines


IN_DOUBT = "b07c7101-0000-4000-8000-000001000000"


def leave_a_sell_in_doubt(live: BotRunner) -> None:
    """As a run leaves it whose request was lost: Kraken never saw it, and its deadline is still to come."""
    deadline = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="microseconds")
    execute_sql(live, "UPDATE trade SET exiting = 'STOP_LOSS'")
    execute_sql(
        live,
        'INSERT INTO "order" (client_order_id, trade_id, side, symbol, state, reason, whole, amount, filled, deadline, '
        f"inexact, created_at) SELECT '{IN_DOUBT}', trade_id, 'sell', symbol, 'UNKNOWN', 'STOP_LOSS', TRUE, amount, "
        f"'0', '{deadline}', FALSE, created_at FROM \"order\"",
    )


@pytest.mark.long
def test_a_tripped_guard_is_told_and_again_while_it_lasts(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    with stopped_clock() as clock:
        notified.set(INITIAL_BALANCE="1000000")
        prove_initial_balance(notified, "1000000")
        for _ in range(2):
            assert notified.run("tick").exit_code == 3
            clock.tick(QUARTER)
        notified.set(INITIAL_BALANCE="10000")
        notified.run("resume", "--enable-buys")
        notified.run("tick")

    assert [line.split(":")[0] for line in listener.lines] == [
        "drawdown guard tripped",
        "for 15 min",
        "resolved after 30 min",
    ]


@pytest.mark.long
def test_missed_runs_are_told_once(notified: BotRunner, listener: Listener) -> None:
    with stopped_clock() as clock:
        notified.run("tick")
        clock.tick(4 * QUARTER)
        notified.run("tick")
        clock.tick(QUARTER)
        notified.run("tick")

    assert listener.lines[0].startswith("3 runs were missed or killed since")
    assert [line.split(" ")[0] for line in listener.lines] == ["3", "resolved"]


@pytest.mark.long
def test_a_key_that_ends_soon_is_asked_for_once_a_day_and_told_daily(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    kraken.key.valid_until = str(int(time.time()) + 3 * 86_400)
    with stopped_clock() as clock:
        for _ in range(3):
            notified.run("tick")
            clock.tick(QUARTER)
        asked_on_one_day = kraken.count("GetApiKeyInfo")
        clock.tick(86_400)
        notified.run("tick")

    assert (asked_on_one_day, kraken.count("GetApiKeyInfo")) == (1, 2)
    assert ["the API key expires at" in line for line in listener.lines].count(True) == 2


def test_a_check_of_positions_never_asks_for_the_key(notified: BotRunner, kraken: FakeKraken) -> None:
    notified.run("check-positions")

    assert kraken.count("GetApiKeyInfo") == 0


def test_what_happened_long_before_somebody_listened_is_no_news(live: BotRunner, listener: Listener) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(2 * 3600)
        live.run("pause")
        live.run("tick")
        live.set(NOTIFY_URLS=f"json://{listener.address}/me")
        clock.tick(QUARTER)
        live.run("tick")

    assert listener.received == []


@pytest.mark.long
def test_messages_to_a_service_that_is_dead_for_days_do_not_grow_without_end(
    notified: BotRunner, listener: Listener
) -> None:
    listener.status = 500
    with stopped_clock() as clock:
        notified.run("resume")
        buy(notified)
        notified.run("pause", "--freeze")
        for _ in range(20):
            notified.run("tick")
            clock.tick(12 * 3600)

    assert row_counts(notified)["outgoing"] < 20


@parametrize("statement", ["DROP TABLE outgoing", "DROP TABLE alarm", "UPDATE memory SET value = 'x'"], quick=1)
def test_whatever_is_wrong_with_it_the_stop_is_sold_and_the_exit_code_is_the_same(
    notified: BotRunner, kraken: FakeKraken, listener: Listener, statement: str
) -> None:
    """The day's backup is made by then: that of a server would rightly miss the table too."""
    notified.run("resume")
    buy(notified)
    notified.run("pause")
    notified.run("tick")
    if statement.startswith("UPDATE"):
        statement += " WHERE key = 'news.cursor'"
    execute_sql(notified, statement)
    kraken.set_price("BTC/USD", 48999)

    run = notified.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy", "sell"]
    assert "botctl: warning: " in run.stderr


def test_a_rehearsal_tells_nobody_and_counts_for_nothing(notified: BotRunner, listener: Listener) -> None:
    notified.run("resume")
    buy(notified)
    notified.run("pause", "--freeze")
    listener.clear()

    notified.run("tick", "--validate")

    assert listener.received == []
    assert row_counts(notified) == {"outgoing": 0, "alarm": 0}


@pytest.mark.waits
@parametrize("way", ["hangs", "drips"], quick=1)
def test_the_courier_is_ended_when_its_time_is_over_and_knows_what_had_arrived(listener: Listener, way: str) -> None:
    with Listener() as good:
        setattr(listener, way, True)
        messages = [
            OutgoingMessage(Secret(f"json://{where}/x"), "a title", "some words", Level.INFO)
            for where in (listener.address, good.address)
        ]

        started = time.monotonic()
        failures = send_messages(messages, seconds=3)
        taken = time.monotonic() - started

    assert failures == ["json://*** no answer in time", ""]
    assert 3 <= taken < 20


def test_the_process_that_sends_loads_no_more_of_botctl_than_it_needs() -> None:
    started = subprocess.run(
        [sys.executable, "-X", "importtime", *SENDER], input="[]", capture_output=True, text=True, timeout=60
    )

    assert started.returncode == 0, started.stderr
    loaded = set(re.findall(r"\| +(botctl\S*|peewee|typer|ccxt|numpy)$", started.stderr, re.MULTILINE))
    domain = {"botctl.domain", "botctl.domain.freshness"}
    sender = {"botctl", "botctl.http_answers", "botctl.monitoring", "botctl.monitoring.alerts"}
    assert loaded == sender | domain


@pytest.mark.long
def test_an_address_stands_nowhere_but_in_the_settings(
    notified: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    secret = "s3cr3t-t0ken-0123456789"
    notified.set(
        NOTIFY_URLS=f"json://{listener.address}/{secret}, nonsense://{secret}", LOG_FILE="log", LOG_LEVEL="DEBUG"
    )
    notified.run("resume")

    for status in (200, 403):
        listener.status = status
        said = [
            notified.run("--debug", *words)
            for words in (("buy", "BTC/USD", "100", "--yes"), ("sell", "BTC/USD", "--yes"))
        ]
        said += [notified.run("--debug", "notify", "--test"), notified.run("--debug", "doctor")]
        assert secret not in "".join(run.stdout + run.stderr for run in said)

    assert any(secret in path for path in listener.paths)
    for path in notified.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def wait_for(come: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.mark.long
def test_a_long_row_of_moved_stops_is_read_once(notified: BotRunner, kraken: FakeKraken, listener: Listener) -> None:
    """Nothing of it is news, and the next run begins behind it; what is news after it is notified."""
    notified.run("resume")
    buy(notified)
    notified.run("pause")
    notified.run("tick")
    columns = "at, kind, trade_id, order_id, before, after, why"
    execute_sql(
        notified,
        f"INSERT INTO event ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "SELECT at, 'new high', trade_id, order_id, before, after, why FROM event, n WHERE kind = 'opened'",
    )

    notified.run("tick")
    newest = max(row[0] for row in notified.rows()["event"])
    notified.open_store()
    cursor = KeyValue.get(KeyValue.key == "news.cursor").value
    kraken.set_price("BTC/USD", 48999)
    notified.run("tick")

    assert int(cursor) >= newest - 3
    assert [line.split()[0] for line in listener.lines] == ["bought", "BTC/USD"]
