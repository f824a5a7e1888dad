"""One run at a time: a kernel lock that dies with its process, or a server's lock that dies with its connection."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botctl.domain.database_url import ServerUrl
from botctl.domain.errors import Busy, ConfigError


@contextmanager
def run_lock(where: Path | ServerUrl, wait_seconds: float) -> Iterator[None]:
    """Hold the one lock of a database: of this machine for a file, of all machines for a database on a server.

    As `process_lock`; raises ConfigError or DatabaseUnreachable where the server can't be asked.
    """
    if isinstance(where, Path):
        with process_lock(where.with_name(f"{where.name}.lock"), wait_seconds):
            yield
        return
    from botctl.store.database import close_database, connect_to_server
    from botctl.store.server import advisory_lock

    try:
        with advisory_lock(connect_to_server(where), wait_seconds):
            yield
    finally:
        close_database()


@contextmanager
def process_lock(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block.

    Waits up to `wait_seconds` for another run to end, then raises Busy. The file stays behind; the lock does not.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the folder's owner and mode") from error
    try:
        _wait_for(handle, wait_seconds)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Busy("another run of botctl holds the lock", hint="let it end, then try again") from None
            time.sleep(min(0.1, wait_seconds))
