"""Files that are replaced whole or not at all, and a lock that the kernel holds for its process and no longer."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from botctl.domain.errors import Busy, ConfigError
from botctl.files import process_lock, write_private, write_public
from tests.corruption import limited_file_size

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from botctl.files import process_lock
with process_lock(Path(sys.argv[1]), 0):
    child = subprocess.Popen(["sleep", "20"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(20)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "data" / "demo.db.lock"


def test_a_second_holder_is_refused_at_once(lock: Path) -> None:
    with process_lock(lock, 0):
        started = time.monotonic()
        with pytest.raises(Busy, match="another run"), process_lock(lock, 0):
            pass

    assert time.monotonic() - started < 5


def test_a_second_holder_waits_as_long_as_it_was_told(lock: Path) -> None:
    with process_lock(lock, 0):
        started = time.monotonic()
        with pytest.raises(Busy), process_lock(lock, 0.4):
            pass

    assert 0.35 < time.monotonic() - started < 5


def test_who_waits_goes_on_when_the_other_ends(lock: Path) -> None:
    holding, order = threading.Event(), []

    def hold() -> None:
        with process_lock(lock, 0):
            holding.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(30)
    with process_lock(lock, 30):
        order.append("second")
    thread.join()

    assert order == ["first", "second"]


def test_the_lock_is_free_after_an_error(lock: Path) -> None:
    with pytest.raises(KeyboardInterrupt), process_lock(lock, 0):
        raise KeyboardInterrupt

    with process_lock(lock, 0):
        pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_dies_with_its_process_even_if_a_child_lives_on(lock: Path, how: int) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(Busy), process_lock(lock, 0):
            pass
        holder.send_signal(how)
        holder.wait(timeout=10)

        with process_lock(lock, 10):
            assert Path(f"/proc/{child}").exists()
    finally:
        holder.kill()
        holder.communicate()
        os.kill(child, signal.SIGKILL)


def test_the_lock_file_stays_and_is_private(lock: Path) -> None:
    with process_lock(lock, 0):
        pass

    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_a_lock_that_cannot_be_written_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="can't write"), process_lock(tmp_path / "file" / "demo.db.lock", 0):
        pass


def test_locks_of_two_homes_do_not_meet(tmp_path: Path) -> None:
    with process_lock(tmp_path / "one.lock", 0), process_lock(tmp_path / "two.lock", 0):
        pass


@pytest.mark.parametrize(("write", "mode"), [(write_private, 0o600), (write_public, 0o644)])
def test_a_file_is_replaced_whole_or_stays_as_it_was(
    tmp_path: Path, write: Callable[[Path, bytes], None], mode: int
) -> None:
    path = tmp_path / "a file"
    write(path, b"old")

    with limited_file_size(3), pytest.raises(ConfigError, match=r"can't write .*: File too large"):
        write(path, b"new, and too long")
    kept = path.read_bytes()
    write(path, b"new")

    assert (kept, path.read_bytes()) == (b"old", b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    """Root may replace /dev/null, and everything on the machine would write into a file from then on."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(ConfigError, match="it is not a file"):
            write_private(path, b"content")
    assert stat.S_ISFIFO(link.stat().st_mode)
