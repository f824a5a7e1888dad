"""Exactly one process is ended, whatever state it is in, and no other one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from botctl.processes import TERM_SECONDS, Process, find_owner_of_lock
from botctl.run_lock import LockHeld, find_holder, name_this_run, run_lock

Start = Callable[..., "subprocess.Popen[bytes]"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program, and returns once it has printed a line."""
    started = []

    def run(program: str = "import time; print(flush=True); time.sleep(60)") -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_a_process_is_asked_to_end_first(start: Start) -> None:
    process = start()

    assert Process.find(process.pid).end()
    assert process.wait(timeout=30) == -signal.SIGTERM


def test_a_stopped_process_is_killed_and_does_not_go_on(start: Start) -> None:
    process = start()
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    started = time.monotonic()

    assert Process.find(process.pid).end()
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert time.monotonic() - started < TERM_SECONDS  # nobody waits for what it does with a SIGTERM


def test_a_process_that_does_not_listen_is_killed(start: Start) -> None:
    process = start(DEAF)

    assert Process.find(process.pid).end(patience=0.3)
    assert process.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize("other", [{"started": 1}, {"boot_id": "another"}, {"namespace": "pid:[1]"}, {"started": None}])
def test_another_process_with_the_same_id_is_left_alone(start: Start, other: dict[str, object]) -> None:
    process = start()

    gone = replace(Process.find(process.pid), **other)  # type: ignore[arg-type]

    assert not gone.is_running
    assert gone.end()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)


def test_a_process_that_waits_for_its_parent_alone_is_gone(start: Start) -> None:
    process = start()
    found = Process.find(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not found.is_running
    assert found.end()


def test_nobody_ends_itself() -> None:
    assert not Process.find(os.getpid()).end()


def test_the_lock_says_who_holds_it_and_nobody_once_it_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "demo.db.lock"
    name_this_run("tick")

    with run_lock(lock, 0):
        holder = find_holder(lock)
        with (
            pytest.raises(LockHeld, match=rf"holds the lock \(tick, process {os.getpid()} on .*, since 20"),
            run_lock(lock, 0),
        ):
            pass
        owner = find_owner_of_lock(lock)

    assert holder is not None
    assert (holder.command, holder.pid, holder.host) == ("tick", os.getpid(), os.uname().nodename)
    assert owner in (None, os.getpid())
    assert find_holder(lock) is None
    assert lock.read_bytes() == b""


def test_what_a_killed_run_left_in_the_lock_names_nobody(tmp_path: Path, start: Start) -> None:
    lock = tmp_path / "demo.db.lock"
    process = start(
        f"import time; from pathlib import Path; from botctl.run_lock import run_lock\n"
        f"with run_lock(Path({str(lock)!r}), 0): print(flush=True); time.sleep(60)"
    )
    during = find_holder(lock)
    process.kill()
    process.wait()

    assert during is not None
    assert during.pid == process.pid
    assert lock.read_bytes() != b""
    assert find_holder(lock) is None
