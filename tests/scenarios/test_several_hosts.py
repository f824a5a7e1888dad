"""Several hosts on one database: exactly one of them ticks, another takes over when it dies, and whoever lost the
connection sends nothing more."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.bot_runner import BotRunner
from tests.databases import Writer, held_lock
from tests.fake_kraken import FakeKraken, Request
from tests.forked import ForkedRun
from tests.postgres import PASSWORD, Server, own_server
from tests.quick import parametrize
from tests.scenarios.journal_tools import only, sent
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of


@pytest.fixture
def other_host(tmp_path: Path) -> Path:
    """The home of a second machine: nothing is in it."""
    folder = tmp_path / "other-host"
    folder.mkdir()
    return folder


def spawn_at(bot: BotRunner, home: Path, *arguments: str) -> ForkedRun:
    """A run on another machine: the same settings, another home."""
    here = os.environ["BOTCTL_HOME"]
    bot.set(BOTCTL_HOME=str(home))
    try:
        return ForkedRun(home, arguments)
    finally:
        bot.set(BOTCTL_HOME=here)


def cut_off(bot: BotRunner) -> None:
    """The server ends the connections of every run, as a restart of it or of the network does."""
    assert bot.server is not None
    name = bot.url_of(bot.mode).rpartition("/")[2]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    bot.server.execute(f"{end} AND application_name LIKE 'botctl %'")


def cut_off_at(bot: BotRunner, kraken: FakeKraken, endpoint: str) -> None:
    """That happens when this request arrives."""

    def cut(request: Request) -> None:
        if request.endpoint == endpoint:
            cut_off(bot)

    kraken.before = cut


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_exactly_one_host_ticks(hosted_live: BotRunner, other_host: Path, tmp_path: Path) -> None:
    sign, go = tmp_path / "sits", tmp_path / "go"
    wait = f"open({str(sign)!r}, 'w').close()\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)"
    council_says(hosted_live, "HOLD", *wait.splitlines())
    first = hosted_live.fork("tick")
    wait_for(sign.exists)

    started = time.monotonic()
    second = spawn_at(hosted_live, other_host, "tick")
    out, err = second.communicate(timeout=60)
    took = time.monotonic() - started
    go.touch()
    first.communicate(timeout=60)

    assert (first.returncode, second.returncode) == (0, 75)
    assert (out, err.count("\n")) == ("", 1)
    assert (
        f"another run of botctl holds the lock (tick, process {first.pid} on {os.uname().nodename[:21]}, since" in err
    )
    assert took < 20  # who waits for the lock waits 30 seconds
    assert len(hosted_live.rows()["tick"]) == 1
    assert spawn_at(hosted_live, other_host, "tick").wait()[0] == 0


@pytest.mark.long
def test_a_manual_command_waits_for_another_host(hosted_live: BotRunner, kraken: FakeKraken) -> None:
    buy(hosted_live)
    other = ExitStack()
    other.enter_context(held_lock(hosted_live.where))
    started = time.monotonic()
    threading.Timer(0.5, other.close).start()

    run = hosted_live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, output_of(run)
    assert time.monotonic() - started >= 0.5
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.long
def test_another_host_takes_over_when_one_is_killed_in_the_middle_of_an_order(
    hosted_live: BotRunner, kraken: FakeKraken, other_host: Path
) -> None:
    kraken.fault("AddOrder", "hang_after", seconds=30)
    council_says(hosted_live, "BUY")
    first = hosted_live.fork("tick")
    wait_for(lambda: kraken.orders)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    kraken.release()
    council_says(hosted_live, "HOLD")
    second = spawn_at(hosted_live, other_host, "tick")
    _, err = second.communicate(timeout=40)

    assert second.returncode == 0, err
    assert len(sent(kraken)) == 1
    trade = only(hosted_live.positions())
    assert (trade["status"], float(trade["stop_loss_price"])) == ("OPEN", 49000)


@pytest.mark.usefixtures("bent_time")
def test_a_run_that_lost_its_lock_sends_no_order(hosted_live: BotRunner, kraken: FakeKraken) -> None:
    buy(hosted_live)
    kraken.set_price("BTC/USD", 48999)
    cut_off_at(hosted_live, kraken, "Ticker")

    run = hosted_live.run("tick")
    in_between = len(sent(kraken, "sell"))
    kraken.before = None
    after = hosted_live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "the connection to postgresql://" in run.stderr
    assert "bug:" not in output_of(run)
    assert in_between == 0
    assert after.exit_code == 0, output_of(after)
    assert trade_of(hosted_live)["exit_reason"] == "STOP_LOSS"
    assert len(sent(kraken, "sell")) == 1


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_connection_lost_while_an_order_is_under_way_leaves_it_to_the_next_run(
    hosted_live: BotRunner, kraken: FakeKraken
) -> None:
    buy(hosted_live)
    kraken.set_price("BTC/USD", 48999)
    cut_off_at(hosted_live, kraken, "AddOrder")

    run = hosted_live.run("tick")
    kraken.before = None
    after = hosted_live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert "was sent, and the answer could not be recorded" in run.stderr
    assert after.exit_code == 0, output_of(after)
    assert trade_of(hosted_live)["exit_reason"] == "STOP_LOSS"
    assert len(sent(kraken, "sell")) == 1


@parametrize("command", ["pause", "resume", "tick", "status"], quick=2)
def test_a_server_that_is_away_is_said_in_one_line_and_pause_still_pauses(
    hosted_live: BotRunner, server: Server, command: str
) -> None:
    hosted_live.set(DATABASE_URL="postgresql://owner:hush-hush@127.0.0.1:9/bot")

    run = hosted_live.run(command)

    assert "hush" not in run.stdout + run.stderr
    if command == "pause":
        assert run.exit_code == 0, output_of(run)
        assert "pauses this machine's runs instead" in run.stderr
        assert (hosted_live.home / "data" / "HALT").exists()
    else:
        assert run.exit_code == 1
        assert run.stderr.count("\n") == 1
        assert "can't be reached" in run.stderr


@pytest.mark.long
def test_a_server_that_stops_in_the_middle_of_a_tick_and_comes_back(hosted_live: BotRunner, kraken: FakeKraken) -> None:
    with own_server() as server:
        hosted_live.set(DATABASE_URL=server.new_database())
        assert hosted_live.run("init").exit_code == 0
        buy(hosted_live)
        kraken.set_price("BTC/USD", 48999)
        stopped: list[Request] = []

        def stop(request: Request) -> None:
            if request.endpoint == "Ticker" and not stopped:
                stopped.append(request)
                server.stop()

        kraken.before = stop
        run = hosted_live.run("tick")
        sells = len(sent(kraken, "sell"))
        server.start()
        after = hosted_live.run("tick")

        assert run.exit_code == 1, output_of(run)
        assert sells == 0
        assert after.exit_code == 0, output_of(after)
        assert trade_of(hosted_live)["exit_reason"] == "STOP_LOSS"
        assert len(sent(kraken, "sell")) == 1


@parametrize("moment", ["before", "after"], quick=1)
def test_a_pause_that_a_person_commits_in_psql_stops_the_buy_that_is_being_written(
    hosted_live: BotRunner, kraken: FakeKraken, moment: str
) -> None:
    """As on SQLite nobody's write comes between the reading of the switch and the intent that stands on it."""
    other = Writer(hosted_live.where)

    def pull(request: Request) -> None:
        if request.endpoint == "Ticker":
            other.take("UPDATE systemconfig SET value = 'PAUSED' WHERE key = 'system_status'", commit_after=0.5)

    setattr(kraken, moment, pull)

    run = hosted_live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert kraken.count("AddOrder") == 0
    assert hosted_live.trades() == []


def test_a_pause_on_one_host_pauses_all(hosted_live: BotRunner, kraken: FakeKraken, other_host: Path) -> None:
    assert spawn_at(hosted_live, other_host, "pause").wait()[0] == 0

    run = hosted_live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3
    assert sides(kraken) == []


def test_the_halt_file_of_a_host_pauses_its_own_runs(hosted_live: BotRunner, kraken: FakeKraken) -> None:
    (hosted_live.home / "data" / "HALT").touch()

    run = hosted_live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3
    assert sides(kraken) == []


@pytest.mark.usefixtures("bent_time")
def test_the_password_is_in_no_output_no_log_and_no_file(hosted_live: BotRunner, kraken: FakeKraken) -> None:
    """Whatever happens: a run that does well, one that is cut off, a wrong password, a server that is away."""
    log = hosted_live.home / "botctl.log"
    hosted_live.set(LOG_FILE=str(log), LOG_LEVEL="DEBUG")
    right, wrong = hosted_live.url_of(hosted_live.mode), "postgresql://owner:not-the-right-one@127.0.0.1"
    port = hosted_live.server.port if hosted_live.server else 0
    said = ""
    for url in (right, f"{wrong}:{port}/bot", f"{wrong}:9/bot", "postgresql://owner:not-the@right-one@host/bot"):
        hosted_live.set(DATABASE_URL=url)
        for command in ("tick", "status", "doctor", "pause", "resume", "db check", "db backup", "init"):
            run = hosted_live.run("--debug", *command.split())
            said += run.stdout + run.stderr
    hosted_live.set(DATABASE_URL=right)
    cut_off_at(hosted_live, kraken, "Ticker")
    run = hosted_live.run("--debug", "tick")
    said += run.stdout + run.stderr + log.read_text()

    files = [path.read_bytes() for path in hosted_live.home.rglob("*") if path.is_file()]
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "not-the", "right-one"):
        assert secret not in said
        assert not any(secret.encode() in content for content in files)
