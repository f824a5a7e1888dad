"""Files: replaced whole or not at all, brought to the disk, and locked between processes."""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botctl.domain.errors import Busy, ConfigError


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by this content, file mode 0600: it is the old file or the new one at any moment.

    Raises ConfigError.
    """
    write_parts(path, (content,), mode=0o600)


def write_public(path: Path, content: bytes) -> None:
    """The same with file mode 0644."""
    write_parts(path, (content,), mode=0o644)


def write_parts(path: Path, parts: Iterable[bytes], *, mode: int) -> None:
    """Replace `path` by these parts, written one after the other. A power cut leaves the old file or the new one too.

    Raises ConfigError.
    """
    import tempfile  # 5 ms that a run which writes no file does not need

    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from its first byte
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        beside = None
        sync_to_disk(path.parent)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the disk and the folder") from error
    finally:
        if beside is not None:  # also after Ctrl-C
            with suppress(OSError):
                os.unlink(beside)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: until then a power cut may take them.

    Raises OSError.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def process_lock(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block. The kernel frees it when the process dies.

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
