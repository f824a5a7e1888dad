"""The parent's side of the fork server: start a botctl run, end it with a signal, hear how it ended."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bot_runner import PROJECT


@dataclass(frozen=True)
class End:
    """The commit at which a run ends itself: `before` or `after` its `number`-th one; 0 lets it live.

    `statement` is before its `number`-th statement of any kind. SIGSTOP only stops it there, for `Process.go_on`.
    """

    when: str = ""
    number: int = 0
    signal_number: int = signal.SIGKILL


@dataclass(frozen=True)
class Command:
    """One botctl run, and the world that it runs in."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    clock: str
    out: str
    err: str
    end: End = field(default_factory=End)
    hasty: bool = True
    wait_seconds: float = 0.25
    """Seconds that a hasty run really waits for an answer: enough where every answer comes at once or never."""
    most_bytes: int | None = None
    """No file may grow beyond it."""
    uid: int | None = None
    busy_seconds: float | None = None
    """How long the database waits for another process, where the product's ten real seconds would take too long."""
    counts: str | None = None
    """A file that receives what was counted of commits and statements when the run ends by itself."""


@dataclass(frozen=True)
class Run:
    """What one run answered."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def words(self) -> str:
        return f"exit code {self.exit_code}\n{self.stdout}{self.stderr}"


class Process:
    """A run that may still be alive."""

    def __init__(self, processes: "Processes", command: Command, pid: int) -> None:
        self._processes = processes
        self._command = command
        self.pid = pid
        self._end: Run | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        return self._command.arguments

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, for so long at most."""
        if self._end is not None:
            return True
        handle = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(1000 * seconds))
        finally:
            os.close(handle)

    def wait(self) -> Run:
        """Its end, whatever that is. Others may start and wait for runs meanwhile."""
        if self._end is None:
            while not self.ends_within(60):
                pass
            status = self._processes.ask({"wait": self.pid})["status"]
            out, err = (Path(name).read_text() for name in (self._command.out, self._command.err))
            self._end = Run(status, out, err)
        return self._end

    def send(self, signal_number: int) -> None:
        os.kill(self.pid, signal_number)

    def wait_until_stopped(self) -> bool:
        """Whether it stopped where it was to; False when it ended without coming there."""
        while not self.ends_within(0.005):
            if Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T":
                return True
        return False

    def go_on(self) -> None:
        """Let it go on after a stop."""
        self.send(signal.SIGCONT)

    def has_open(self, path: Path) -> bool:
        """Whether it holds this file open now."""
        folder = Path(f"/proc/{self.pid}/fd")
        for entry in os.listdir(folder):
            with suppress(OSError):  # it may be closed by now
                if os.readlink(folder / entry) == str(path):
                    return True
        return False

    def end(self) -> None:
        """Kill it, if it lives."""
        if self._end is None:
            self.send(signal.SIGKILL)
            self.wait()


class Processes:
    """The fork server. `current` is the newest run: what a hook in the middle of its request may end."""

    def __init__(self, mutated_files: Mapping[str, str] | None = None) -> None:
        """`mutated_files` are texts that take the place of files of the product, by their paths in the project."""
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.chaos.fork_server", json.dumps(dict(mutated_files or {}))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        self._known = threading.Event()
        self._pid = 0
        self._one_at_a_time = threading.Lock()

    def start(self, command: Command) -> Process:
        """Let a run begin."""
        self._known.clear()
        self._pid = self.ask({"run": asdict(command)})["pid"]
        self._known.set()
        return Process(self, command, self._pid)

    def end_current(self, signal_number: int) -> None:
        """Send a signal to the newest run. Its own first request may come before its pid is known here."""
        self._known.wait(5)
        os.kill(self._pid, signal_number)

    def stop_current(self) -> None:
        """Stop the newest run, and return once it stands still. SIGCONT lets it go on."""
        self.end_current(signal.SIGSTOP)
        while Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.001)

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._one_at_a_time:  # a hook in the middle of a request may start a run of its own
            self._server.stdin.write(json.dumps(order) + "\n")
            self._server.stdin.flush()
            answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)  # it may not have loaded its libraries yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
