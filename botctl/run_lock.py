"""The lock of a run: a file that the kernel locks for its process, and in which that process says who it is."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botctl.domain.errors import Busy
from botctl.domain.text import sanitize
from botctl.files import process_lock
from botctl.processes import (
    Process,
    boot_id,
    command_line,
    find_owner_of_lock,
    seconds_since_boot,
    seconds_since_start,
)

MAX_NOTE_BYTES = 2000


@dataclass(frozen=True)
class LockHolder:
    """The run that holds the lock, as far as it is known."""

    command: str
    pid: int | None
    host: str
    since: datetime | None
    seconds: float | None
    """How long it has held the lock, when that was looked at."""

    def __str__(self) -> str:
        """Such as "tick, process 4242 on host, since 2026-11-27 02:15 UTC"."""
        process = f"process {self.pid} on {self.host}" if self.pid else self.host
        since = "" if self.since is None else f"since {self.since:%Y-%m-%d %H:%M} UTC"
        return ", ".join(filter(None, [self.command, process, since]))


@dataclass(frozen=True)
class ProcessHolder(LockHolder):
    """A process that holds the lock of a file."""

    process: Process

    def end(self) -> None:
        """End it, if it is a process of this machine. Raises NotEnded."""
        if not self.process.boot_id:
            raise NotEnded(self, "this system does not tell processes apart", hint=f"`kill -9 {self.pid}` ends it")
        if not self.process.is_of_this_machine:
            where = f"it runs on {self.host}, which is another machine or container, or was started before a reboot"
            raise NotEnded(self, where, hint=f"end process {self.pid} there")
        by_hand = f"`sudo kill -9 {self.pid}` ends it"
        try:
            gone = self.process.end()
        except PermissionError:
            raise NotEnded(self, "it belongs to another user", hint=by_hand) from None
        except OSError as error:
            raise NotEnded(self, error.strerror or str(error), hint=by_hand) from error
        if not gone:
            problem = "the kernel can't end it, for example while it waits for a disk that does not answer"
            raise NotEnded(self, problem, hint="check the disk and the network shares, or restart the machine")


class LockHeld(Busy):
    """Another run holds the run's lock."""

    def __init__(self, holder: LockHolder | None, *, hint: str = "let it end, then try again") -> None:
        who = f" ({holder})" if holder is not None and str(holder) else ""
        super().__init__(f"another run of botctl holds the lock{who}", hint=hint)
        self.holder = holder


class NotEnded(LockHeld):
    """A run that should have been ended, and that this run can't end."""

    def __init__(self, holder: LockHolder, why: str, *, hint: str) -> None:
        super().__init__(holder, hint=hint)
        self.message = f"{self.message}, and can't be ended: {why}"


class _Command:
    """What this process was told to do, as others are told."""

    name = ""


def name_this_run(command: str) -> None:
    """Say what this process does, such as `tick`, for those who find the lock held."""
    _Command.name = sanitize(command, 30)


def this_command() -> str:
    return _Command.name


@contextmanager
def run_lock(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock file `path` during the block, with a note in it of who holds it and since when.

    Waits up to `wait_seconds` for another run to end, then raises LockHeld.
    """
    with process_lock(path, wait_seconds, held=lambda: LockHeld(find_holder(path))) as handle:
        _write_note(handle, _describe_this_run())
        try:
            yield
        finally:
            _write_note(handle, b"")


def _write_note(handle: int, note: bytes) -> None:
    """A full disk does not keep anybody from taking the lock."""
    with suppress(OSError):
        os.pwrite(handle, note, 0)
        os.ftruncate(handle, len(note))


def _describe_this_run() -> bytes:
    process = Process.find(os.getpid())
    note = {
        "command": this_command(),
        "pid": process.pid,
        "host": os.uname().nodename[:100],
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_since_boot": round(seconds_since_boot(), 2),
        "boot_id": process.boot_id,
        "process_started": process.started,
        "pid_namespace": process.namespace,
    }
    return (json.dumps(note) + "\n").encode()


def find_holder(path: Path) -> ProcessHolder | None:
    """Who holds the lock of this file; None for nobody, or nobody known. Takes no lock, so no run is in its way."""
    noted, owner = _parse_note(_read_note(path)), find_owner_of_lock(path)
    if noted is not None and owner in (None, noted.pid) and (noted.process.is_running or _is_elsewhere(noted)):
        return noted
    return None if owner is None else _find_without_note(owner)


def _is_elsewhere(noted: ProcessHolder) -> bool:
    """Whether the note is from another machine or container. One from before a reboot of this machine is of nobody."""
    if noted.process.is_of_this_machine:
        return False
    return noted.host != os.uname().nodename or noted.process.boot_id == boot_id()


def _find_without_note(pid: int) -> ProcessHolder:
    """A holder that could not write its note, or an older botctl, which writes none: known by its process alone."""
    process = Process.find(pid)
    seconds = seconds_since_start(process)
    since = None if seconds is None else datetime.now(UTC) - timedelta(seconds=seconds)
    words = [word for word in command_line(pid)[1:] if word[:1] not in ("-", "/") and word != "botctl"]
    return ProcessHolder(sanitize("".join(words[:1]), 30), pid, os.uname().nodename, since, seconds, process)


def _read_note(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(handle, MAX_NOTE_BYTES)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _parse_note(text: bytes) -> ProcessHolder | None:
    """The note of a holder; None for anything else."""
    try:
        note = json.loads(text)
        since, since_boot = datetime.fromisoformat(note["since"]).astimezone(UTC), float(note["seconds_since_boot"])
        started = note["process_started"]
        process = Process(
            int(note["pid"]), None if started is None else int(started),
            str(note["boot_id"]), str(note["pid_namespace"]),
        )  # fmt: skip
        command, host = sanitize(str(note["command"]), 30), sanitize(str(note["host"]), 100)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    ages = [(datetime.now(UTC) - since).total_seconds()]
    if process.boot_id and process.boot_id == boot_id():  # a clock that was set meanwhile hides nothing
        ages.append(seconds_since_boot() - since_boot)
    return ProcessHolder(command, process.pid, host, since, max(0.0, *ages), process)
