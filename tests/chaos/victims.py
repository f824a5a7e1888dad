"""The parent's side of the fork server: start a botctl run, end it with a signal, hear how it ended."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.conftest import PROJECT


@dataclass(frozen=True)
class End:
    """The commit at which a run ends itself: `before` or `after` its `number`-th one; 0 lets it live."""

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
    patience: float = 0.25
    """Seconds that a hasty run really waits for an answer: enough where every answer comes at once or never."""
    most_bytes: int | None = None
    """No file may grow beyond it."""
    uid: int | None = None
    commits: str | None = None
    """A file that receives the number of commits when the run ends by itself."""


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


class Victim:
    """A run that may still be alive."""

    def __init__(self, victims: "Victims", command: Command, pid: int) -> None:
        self._victims = victims
        self._command = command
        self.pid = pid

    def wait(self) -> Run:
        """Its end, whatever that is."""
        status = self._victims.ask({"wait": self.pid})["status"]
        out, err = (Path(name).read_text() for name in (self._command.out, self._command.err))
        return Run(status, out, err)


class Victims:
    """The fork server. `current` is the newest run: what a hook in the middle of its request may end."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.chaos.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        self._known = threading.Event()
        self._pid = 0

    def start(self, command: Command) -> Victim:
        """Let a run begin."""
        self._known.clear()
        self._pid = self.ask({"run": asdict(command)})["pid"]
        self._known.set()
        return Victim(self, command, self._pid)

    def end_current(self, signal_number: int) -> None:
        """Send a signal to the newest run. Its own first request may come before its pid is known here."""
        self._known.wait(5)
        os.kill(self._pid, signal_number)

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
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
