"""Processes: which one holds the run's lock, whether it still runs on this machine, and how it is ended."""

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TERM_SECONDS = 5.0
"""How long a process has to end by itself after SIGTERM."""
KILL_SECONDS = 5.0
"""How long the kernel may take to end it after SIGKILL: a process that waits for a dead disk can't be ended."""
LIVING_STATES = frozenset("RSDTtIWP")
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """One process, told from every other one: process ids are used again, also by another machine or container.

    What the system does not tell is empty or None.
    """

    pid: int
    started: int | None
    """In ticks of the kernel's clock since boot."""
    boot_id: str
    namespace: str
    """Of process ids: that of a container, or of the whole machine."""

    @classmethod
    def find(cls, pid: int) -> Self:
        """The process of this machine that has this id now."""
        state, started = _read_stat(pid)
        return cls(pid, started if state else None, boot_id(), _namespace())

    @property
    def is_of_this_machine(self) -> bool:
        """Whether its id means anything here: it was started since this machine's boot, in our namespace."""
        here = (boot_id(), _namespace())
        return all(here) and (self.boot_id, self.namespace) == here

    @property
    def is_running(self) -> bool:
        """Whether exactly this process still runs, on this machine."""
        if not self.is_of_this_machine or self.started is None:
            return False
        state, started = _read_stat(self.pid)
        return state in LIVING_STATES and started == self.started

    @property
    def _is_stopped(self) -> bool:
        return _read_stat(self.pid)[0] in ("T", "t")

    def end(self, patience: float = TERM_SECONDS) -> bool:
        """End it: by SIGTERM, then after `patience` seconds by SIGKILL. A stopped one is killed at once: it must not go
        on with what is long out of date. Returns whether it is gone. Raises PermissionError for the process of another
        user."""
        if self.pid == os.getpid():
            return False
        with suppress(ProcessLookupError), _Handle(self.pid) as handle:
            if not self.is_running:  # looked at after the handle was opened: the id can't be another's any more
                return True
            if not self._is_stopped:
                handle.send(signal.SIGTERM)
                if self._ends_within(patience):
                    return True
            handle.send(signal.SIGKILL)
            return self._ends_within(KILL_SECONDS)
        return True

    def _ends_within(self, seconds: float) -> bool:
        end = _now() + seconds
        while self.is_running:
            if _now() >= end:
                return False
            select.select([], [], [], POLL_SECONDS)
        return True


class _Handle:
    """Sends signals to one process, even when its id is used again meanwhile; by its id on older kernels."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle: int | None = None

    def __enter__(self) -> Self:
        with suppress(AttributeError, OSError):
            self._handle = os.pidfd_open(self._pid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def send(self, number: signal.Signals) -> None:
        if self._handle is None:
            os.kill(self._pid, number)
        else:
            signal.pidfd_send_signal(self._handle, number)


def boot_id() -> str:
    """What the kernel names this boot of the machine; empty where it does not."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def seconds_since_boot() -> float:
    """By the kernel, whatever the clock is set to. It counts the time a machine sleeps."""
    try:
        return float(_read("/proc/uptime").split()[0])
    except (IndexError, ValueError):
        return _now()


def seconds_since_start(process: Process) -> float | None:
    """How long ago a process of this machine was started."""
    if process.started is None:
        return None
    return max(0.0, seconds_since_boot() - process.started / os.sysconf("SC_CLK_TCK"))


def command_line(pid: int) -> list[str]:
    """What the process was started with; empty when that is not to be seen."""
    return [part for part in _read(f"/proc/{pid}/cmdline").split("\0") if part]


def find_owner_of_lock(path: Path) -> int | None:
    """The process that holds the kernel's lock of this file, by the kernel's own list; None when it is not in it.

    It lists the processes of this namespace alone, and names some file systems differently than a file does.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in _read("/proc/locks").splitlines():
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 4242 08:01:131 0 EOF; "->" marks one that waits
        if len(fields) == 8 and fields[1] == "FLOCK" and fields[5] == name and fields[4].isdecimal():
            return int(fields[4])
    return None


def _read_stat(pid: int) -> tuple[str, int | None]:
    """State and start of a process; an empty state when there is none. Its name may hold spaces and brackets."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (IndexError, ValueError):
        return "", None


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
