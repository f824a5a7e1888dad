"""A run that hangs with the lock: the next tick says so, ends it and guards in its place, and nothing is sent twice."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from botctl.config import LockTimeouts
from botctl.run_lock import find_holder
from tests.bot_runner import PROJECT, BotRunner
from tests.fake_kraken import FakeKraken
from tests.forked import ForkedRun
from tests.listener import Listener
from tests.quick import parametrize
from tests.scenarios.journal_tools import client_ids, sent
from tests.scenarios.steps import buy, output_of, sides, trade_of
from tests.scenarios.test_council import install_agent

GRACE = 0.3
NOBODY = 65534


@pytest.fixture
def impatient(live: BotRunner) -> BotRunner:
    """A live bot with a position and no Council, whose ticks may take little more than a second."""
    return make_impatient(live)


@pytest.fixture
def hosted_impatient(hosted_live: BotRunner) -> BotRunner:
    return make_impatient(hosted_live)


def make_impatient(live: BotRunner) -> BotRunner:
    buy(live)
    live.run("pause")
    live.set(TICK_TIMEOUT="1")
    live.wait_for_others(LockTimeouts(run=0.5, grace=GRACE))
    return live


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def stopped_run(
    live: BotRunner, kraken: FakeKraken, endpoint: str = "Ticker", fault: str = "hang_before", command: str = "tick"
) -> Iterator[ForkedRun]:
    """A run that is stopped while it waits for the exchange, as by SIGSTOP or Ctrl-Z, and hangs by now."""
    kraken.clear_requests()
    kraken.fault(endpoint, fault, seconds=60)
    process = live.fork(command)
    try:
        wait_for(lambda: kraken.count(endpoint))
        if fault == "hang_after":
            wait_for(lambda: any(order.side == "sell" for order in kraken.orders))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1 + GRACE + 0.2)
        yield process
    finally:
        process.kill()
        process.communicate()
        kraken.release()


def lock_file(live: BotRunner) -> Path:
    return live.database.with_name(f"{live.database.name}.lock")


@pytest.mark.waits
@pytest.mark.sqlite("the server's sessions have tests of their own")
@pytest.mark.usefixtures("no_charts")
def test_a_stopped_run_is_ended_and_its_hit_stop_is_sold_in_the_same_tick(
    impatient: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    kraken.set_price("BTC/USD", 48999)
    impatient.set(HEALTHCHECK_URL=f"http://{listener.address}/check", NOTIFY_URLS=f"json://{listener.address}/alarm")

    with stopped_run(impatient, kraken) as hung:
        status = impatient.run("status")
        listener.clear()
        run = impatient.run("tick", "--json")
        ended, *_ = hung.wait(5)
    after = impatient.run("tick")

    assert (run.exit_code, ended) == (1, -signal.SIGKILL), output_of(run)
    assert f"a run hung and was ended (tick, process {hung.pid} on {os.uname().nodename}, since " in run.stderr
    assert [step["name"] for step in run.json()["steps"] if not step["ok"]] == ["lock"]
    assert trade_of(impatient)["exit_reason"] == "STOP_LOSS"
    assert listener.paths.count("/check/fail") == 2  # at once, and at the tick's end
    alarms = [each for each in listener.received if each.path == "/alarm"]
    assert any("a run hung and was ended" in each.json()["message"] for each in alarms)
    assert f"running tick, process {hung.pid} on {os.uname().nodename}, since 20" in " ".join(status.stdout.split())
    assert f"a run hangs (tick, process {hung.pid}" in status.stderr
    assert (after.exit_code, after.stderr) == (0, "")
    assert "running" not in impatient.run("status").stdout


@pytest.mark.waits
def test_an_order_that_was_under_way_when_its_run_hung_is_not_sent_again(
    impatient: BotRunner, kraken: FakeKraken
) -> None:
    kraken.set_price("BTC/USD", 48999)

    with stopped_run(impatient, kraken, "AddOrder", "hang_after"):
        run = impatient.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert sides(kraken) == ["buy", "sell"]
    assert len(client_ids(sent(kraken, "sell"))) == len(sent(kraken, "sell")) == 1
    assert trade_of(impatient)["exit_reason"] == "STOP_LOSS"


@pytest.mark.waits
def test_liquidate_takes_over_at_once_even_from_a_run_that_does_not_hang_yet(
    impatient: BotRunner, kraken: FakeKraken
) -> None:
    impatient.set(TICK_TIMEOUT="600")

    with stopped_run(impatient, kraken) as other:
        tick, plain = impatient.run("tick"), impatient.run("liquidate", "--yes")
        still_there = other.poll() is None
        run = impatient.run("liquidate", "--take-over", "--yes")

    assert (tick.exit_code, plain.exit_code, still_there) == (75, 75, True)
    assert "another run of botctl holds the lock (tick" in tick.stderr
    assert run.exit_code == 0, output_of(run)
    assert "ended the run that held the lock: tick" in run.stderr
    assert str(other.pid) in run.stderr or impatient.server
    assert trade_of(impatient)["exit_reason"] == "LIQUIDATION"
    assert sides(kraken) == ["buy", "sell"]


def test_taking_over_from_nobody_is_a_plain_liquidation(impatient: BotRunner, kraken: FakeKraken) -> None:

    run = impatient.run("liquidate", "--take-over", "--yes")

    assert (run.exit_code, "ended" in run.stderr) == (0, False), output_of(run)
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.waits
@pytest.mark.sqlite("the server's clock decides for its sessions")
@parametrize("moved", [timedelta(days=1), timedelta(days=-1)], quick=1, ids=["put ahead", "put back"])
def test_a_clock_that_was_moved_hides_no_hung_run(impatient: BotRunner, kraken: FakeKraken, moved: timedelta) -> None:
    """The holder's note has the time of the other clock: put back it hides nothing, put ahead it ends the run early."""
    if moved > timedelta(0):
        impatient.set(TICK_TIMEOUT="800")

    with stopped_run(impatient, kraken) as hung:
        change_note(lock_file(impatient), since=(datetime.now(UTC) - moved).isoformat())
        run = impatient.run("tick")
        ended, *_ = hung.wait(5)

    assert (run.exit_code, ended) == (1, -signal.SIGKILL), output_of(run)


@pytest.mark.waits
@pytest.mark.sqlite("it is about the file")
@parametrize("note", ["", "{}", '{"pid": 1}', "\0\xff"], quick=1)
def test_a_holder_without_a_readable_note_is_known_by_the_kernels_list(
    impatient: BotRunner, kraken: FakeKraken, note: str
) -> None:
    with stopped_run(impatient, kraken) as hung:
        if find_holder(lock_file(impatient)) is None:
            pytest.skip("this file system is not in /proc/locks")
        lock_file(impatient).write_text(note)
        run = impatient.run("tick")
        ended, *_ = hung.wait(5)

    assert (run.exit_code, ended) == (1, -signal.SIGKILL), output_of(run)
    assert f"process {hung.pid}" in run.stderr


@pytest.mark.sqlite("it is about the file")
@parametrize("lie", ["another process", "before a reboot", "elsewhere"], quick=2)
def test_only_the_very_process_of_the_note_is_ended(impatient: BotRunner, lie: str) -> None:
    """Its id may be another's by now, or mean another process on another machine."""
    impatient.set(TICK_TIMEOUT="600")
    stranger = subprocess.Popen(["sleep", "60"])
    with holder_of(lock_file(impatient)) as holder:
        note: dict[str, object] = {"since": "2020-01-01T00:00:00+00:00", "pid": stranger.pid}
        if lie == "before a reboot":
            note["boot_id"] = "another"
        if lie == "elsewhere":
            note |= {"boot_id": "another", "host": "far-away", "pid": holder.pid}
        change_note(lock_file(impatient), **note)
        run = impatient.run("tick")
        alive = stranger.poll() is holder.poll() is None
    stranger.kill()
    stranger.wait()

    assert (run.exit_code, alive) == (75, True), output_of(run)
    assert ("can't be ended: it runs on far-away" in run.stderr) == (lie == "elsewhere")


HOLDER = """
import os, sys, time
from pathlib import Path
from botctl.run_lock import name_this_run, run_lock
name_this_run("sell")
with run_lock(Path(sys.argv[1]), 0):
    os.setuid(int(sys.argv[2]))
    print(flush=True)
    time.sleep(60)
"""


@contextmanager
def holder_of(lock: Path, user: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds this lock, of another `user` if need be."""
    command = [sys.executable, "-c", HOLDER, str(lock), str(os.getuid() if user is None else user)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def change_note(lock: Path, **values: object) -> None:
    lock.write_text(json.dumps(json.loads(lock.read_text()) | values))


@pytest.mark.long
@pytest.mark.sqlite("a role of a server has a test of its own")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_a_hung_run_of_another_user_is_said_and_the_lock_stays_held(impatient: BotRunner, listener: Listener) -> None:
    impatient.set(HEALTHCHECK_URL=f"http://{listener.address}/check", NOTIFY_URLS=f"json://{listener.address}/alarm")
    with holder_of(lock_file(impatient), user=NOBODY) as holder:
        change_note(lock_file(impatient), since="2020-01-01T00:00:00+00:00")
        process = impatient.spawn("tick", preexec_fn=may_end_no_process_of_others)
        _, err = process.communicate(timeout=60)
        alive = holder.poll() is None

    assert (process.returncode, alive) == (75, True), err
    assert "can't be ended: it belongs to another user" in err
    assert f"sudo kill -9 {holder.pid}" in err
    assert "Traceback" not in err
    assert "/check/fail" in listener.paths
    alarms = [each.json()["message"] for each in listener.received if each.path == "/alarm"]
    assert len(alarms) == 1
    assert "a run hangs, and no position is guarded" in alarms[0]


def may_end_no_process_of_others() -> None:
    """As any user but root."""
    drop_capability, kill = 24, 5
    ctypes.CDLL(None).prctl(drop_capability, kill, 0, 0, 0)


DEAF = "import ctypes, signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); "


@pytest.mark.long
@pytest.mark.waits(70)
@pytest.mark.sqlite("it is about the process")
@pytest.mark.parametrize(
    ("stuck", "said"),
    [
        (f"{DEAF} time.sleep(600)", "this tick hung for 70 s and was ended, in trading/council/"),
        (f"{DEAF} ctypes.PyDLL(None).sleep(600)", ""),
    ],
    ids=["deaf to signals", "and no other thread runs"],
)
def test_a_tick_that_nothing_interrupts_ends_itself(
    live: BotRunner, listener: Listener, tmp_path: Path, stuck: str, said: str
) -> None:
    """An agent that no time limit reaches."""
    install_agent(tmp_path, "endless", stuck)
    live.set(COUNCIL="endless", TICK_TIMEOUT="10", HEALTHCHECK_URL=f"http://{listener.address}/check")
    started = time.monotonic()  # on a busy machine the agent is asked some seconds later

    process = live.spawn("tick", packages=tmp_path)
    _, err = process.communicate(timeout=180)

    assert process.returncode == 1, err
    assert time.monotonic() - started > 70
    assert said in err
    assert "Traceback" not in err
    assert listener.paths == (["/check/start", "/check/fail"] if said else ["/check/start"])


# On a server


@pytest.mark.long
@pytest.mark.waits
def test_the_session_of_a_hung_run_is_ended_and_the_tick_goes_on(
    hosted_impatient: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    kraken.set_price("BTC/USD", 48999)
    hosted_impatient.set(HEALTHCHECK_URL=f"http://{listener.address}/check")

    with stopped_run(hosted_impatient, kraken) as hung:
        status = hosted_impatient.run("status")
        run = hosted_impatient.run("tick")
        hung.send_signal(signal.SIGCONT)
        kraken.release()
        hung.communicate(timeout=60)

    said = " ".join(status.stdout.split())
    assert f"running tick, process {hung.pid} on {os.uname().nodename[:21]}, since 20" in said
    assert run.exit_code == 1, output_of(run)
    assert f"a run hung and was ended (tick, process {hung.pid}" in run.stderr
    assert "/check/fail" in listener.paths
    assert trade_of(hosted_impatient)["exit_reason"] == "STOP_LOSS"
    assert hung.returncode != 0  # it has lost its lock, and can't record anything
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.long
@pytest.mark.waits
def test_a_session_of_another_role_is_said_and_stays(hosted_impatient: BotRunner, kraken: FakeKraken) -> None:
    """A role that may write everything, and end no session of another one."""
    server = hosted_impatient.server
    assert server is not None
    name = hosted_impatient.url_of("live").rpartition("/")[2]
    role = f"guest_{name}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'guest' IN ROLE pg_read_all_stats")
    try:
        grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO"
        for grant in grants:
            server.execute(f"{grant} {role}", name)
        with stopped_run(hosted_impatient, kraken) as hung:
            hosted_impatient.set(DATABASE_URL=server.url(name, role, "guest"))
            run = hosted_impatient.run("tick")
            alive = hung.poll() is None

        assert (run.exit_code, alive) == (75, True), output_of(run)
        assert "can't be ended: its session belongs to another role" in run.stderr
        assert "pg_terminate_backend(" in run.stderr
    finally:
        server.execute(f"DROP OWNED BY {role}", name)
        server.execute(f"DROP ROLE {role}")
