"""A process that hangs ends itself, whatever it is stuck in."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from botctl.watchdog import EXIT_CODE, end_after
from tests.bot_runner import PROJECT
from tests.quick import parametrize

PROGRAM = """
import os, re, signal, socket, sys, threading, time, faulthandler, _thread
from botctl import watchdog
from botctl.timeouts import time_limit
{before}
watchdog.LAST_WORDS_SECONDS = {words_seconds}
def last_words():
    print("last words", flush=True)
    {words}
with watchdog.end_after(0.7, last_words):
    print("begun", flush=True)
    {stuck}
"""
NO_THREADS = """
def refuse(*_, **__): raise RuntimeError("can't start new thread")
threading._start_new_thread = _thread.start_new_thread = faulthandler.dump_traceback_later = refuse
"""
BLOCKED = "left, _ = socket.socketpair(); left.recv(1)"
SWALLOWED = "\n    ".join(["while True:", "    try: time.sleep(60)", "    except BaseException: pass"])
PIPE = "os.mkfifo('pipe'); open('pipe').read()"
NO_OTHER_THREAD_RUNS = "re.match('(a*)*b', 'a' * 60)"
IGNORED = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
LIMITED = "\n    ".join(["try:", "    with time_limit(60): time.sleep(60)", "except TimeoutError: time.sleep(60)"])


def play(
    folder: Path, *, stuck: str, words: str = "pass", words_seconds: float = 20, before: str = ""
) -> "tuple[int, str, str]":
    program = PROGRAM.format(before=before, stuck=stuck, words=words, words_seconds=words_seconds)
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, timeout=30, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    return process.returncode, process.stdout, process.stderr


@parametrize("stuck", [PIPE, BLOCKED, SWALLOWED, IGNORED], quick=2)
def test_a_run_that_is_stuck_says_so_and_ends(tmp_path: Path, stuck: str) -> None:
    code, out, err = play(tmp_path, stuck=stuck)

    assert (code, out, err) == (EXIT_CODE, "begun\nlast words\n", "")


def test_a_run_in_code_that_lets_no_other_thread_run_ends_all_the_same(tmp_path: Path) -> None:
    code, out, err = play(tmp_path, stuck=NO_OTHER_THREAD_RUNS, words_seconds=0.5)

    assert (code, out, err) == (EXIT_CODE, "begun\n", "")


def test_last_words_that_get_stuck_do_not_keep_it_alive(tmp_path: Path) -> None:
    code, _, err = play(tmp_path, stuck=BLOCKED, words="time.sleep(60)", words_seconds=0.5)

    assert (code, err) == (EXIT_CODE, "")


@parametrize("stuck", [NO_OTHER_THREAD_RUNS, LIMITED, PIPE, BLOCKED], quick=1)
def test_where_no_thread_can_be_started_the_kernel_ends_it(tmp_path: Path, stuck: str) -> None:
    code, out, err = play(tmp_path, stuck=stuck, before=NO_THREADS)

    assert (code, out, err) == (-signal.SIGALRM, "begun\n", "")


def test_a_run_that_ends_in_time_leaves_nothing_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with end_after(60, lambda: None):
        [watchdog] = [thread for thread in threading.enumerate() if thread.name == "watchdog"]

    watchdog.join(30)

    assert not watchdog.is_alive()
    assert signal.getsignal(signal.SIGALRM) is before


def test_an_error_of_the_block_leaves_it_as_it_is() -> None:
    with pytest.raises(KeyError), end_after(60, lambda: None):
        raise KeyError
