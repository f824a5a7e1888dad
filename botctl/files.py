"""Files: replaced atomically, synced to disk, and locked between processes."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botctl.domain.errors import Busy, ConfigError


def why_unreadable(path: Path) -> str:
    """Why a file can't be read, as a sentence with its name; empty where it can."""
    name = f"{path!s:.200}"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"there is no file {name}"
    except OSError as error:
        return f"can't read {name}: {error.strerror}"
    if stat.S_ISDIR(mode):
        return f"{name} is a folder"
    return "" if os.access(path, os.R_OK) else f"can't read {name}: Permission denied"


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` atomically, with file mode 0600. Raises ConfigError."""
    write_parts(path, (content,), mode=0o600)


def write_public(path: Path, content: bytes) -> None:
    """Replace `path` atomically, with file mode 0644. Raises ConfigError."""
    write_parts(path, (content,), mode=0o644)


def write_parts(path: Path, parts: Iterable[bytes], *, mode: int) -> None:
    """Replace `path` atomically by these parts, one after the other. Safe against power cuts. Raises ConfigError."""
    import tempfile  # takes 5 ms, and most runs write no file

    temporary: str | None = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # root would replace /dev/null
            raise ConfigError(f"can't write {path}: it is not a file", hint="name another")
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from the start
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        sync_to_disk(path.parent)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the disk and the folder") from error
    finally:
        if temporary is not None:  # also after Ctrl-C
            with suppress(OSError):
                os.unlink(temporary)


def sync_to_disk(path: Path) -> None:
    """fsync a file or a folder. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _busy() -> Busy:
    return Busy("another run of botctl holds the lock", hint="let it end, then try again")


@contextmanager
def process_lock(path: Path, wait_seconds: float, held: Callable[[], Busy] = _busy) -> Iterator[int]:
    """Hold the lock file `path`, which is open as the result, during the block. The file stays; the kernel releases
    the lock if the process dies.

    Waits up to `wait_seconds` for another run to end, then raises what `held` returns.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"can't write {path}: {error.strerror}", hint="check the folder's owner and permissions"
        ) from error
    try:
        _acquire(handle, wait_seconds, held)
        yield handle
    finally:
        os.close(handle)


def _acquire(handle: int, wait_seconds: float, held: Callable[[], Busy]) -> None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise held() from None
            time.sleep(min(0.1, wait_seconds))
