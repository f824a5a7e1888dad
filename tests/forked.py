"""Runs of botctl in forks of this process, where all is loaded already.

They are processes that can be killed like any other, for a tenth of the CPU time that a new Python takes.
"""

import os
import select
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Never

from botctl.cli.app import main

NUMBERS = count()


class ForkedRun:
    """A command in a process of its own, with the settings and the time of this one."""

    def __init__(self, home: Path, arguments: Sequence[str], terminal: int | None = None) -> None:
        """Its streams are those of a `terminal`, or two files."""
        number = next(NUMBERS)
        self._out, self._err = home.parent / f"forked-{number}.out", home.parent / f"forked-{number}.err"
        with warnings.catch_warnings(action="ignore"):  # of the fake Kraken's threads, which the child does without
            self.pid = os.fork()
        if self.pid == 0:
            become_botctl(arguments, lambda: self._prepare(home, terminal))
        self._ended = os.pidfd_open(self.pid)
        self._reaped: int | None = None

    def wait(self, seconds: float = 60) -> tuple[int, str, str]:
        """Its exit code, negative for a signal, and its output; a run that does not end is killed."""
        if self._reaped is None and not select.select([self._ended], [], [], seconds)[0]:
            os.kill(self.pid, signal.SIGKILL)
        status = self._reap()
        out, err = (file.read_text() if file.exists() else "" for file in (self._out, self._err))
        return os.waitstatus_to_exitcode(status), out, err

    # As a subprocess.Popen

    @property
    def returncode(self) -> int | None:
        return None if self._reaped is None else os.waitstatus_to_exitcode(self._reaped)

    def poll(self) -> int | None:
        if self._reaped is None and select.select([self._ended], [], [], 0)[0]:
            self._reap()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        _, out, err = self.wait(timeout)
        return out, err

    def _reap(self) -> int:
        if self._reaped is None:
            os.close(self._ended)
            _, self._reaped = os.waitpid(self.pid, 0)
        return self._reaped

    def _prepare(self, home: Path, terminal: int | None) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        for number, file in ((0, Path(os.devnull)), (1, self._out), (2, self._err)):
            os.dup2(os.open(file, flags, 0o600) if terminal is None else terminal, number)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - botctl itself opens the other two anew
        os.chdir(home)


def become_botctl(arguments: Sequence[str], prepare: Callable[[], None]) -> Never:
    """What a fork does: `prepare`, run the command, and end with its exit code; 99 for an error before that."""
    code = 99
    try:
        prepare()
        sys.argv = ["botctl", *arguments]
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
