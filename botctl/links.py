"""Opens files without following a symbolic link that another user could have put there, as in /tmp."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""Needs no more than the right to pass through the folder."""


def open_own(path: Path, flags: int) -> int:
    """As os.open, for a file that is written; a new one has mode 0600.

    Follows no link in a folder that others can write, there takes no file of another owner, and never waits for the
    reader of a pipe. Raises OSError.
    """
    with _open_folder(path) as folder:
        handle = _open_at(folder, path, path.name, flags | os.O_NONBLOCK)
        try:
            if _is_shared(os.fstat(folder)) and not _is_own(os.fstat(handle)):
                raise PermissionError(errno.EPERM, f"{path} is not your own file, in a folder that others can write")
            os.set_blocking(handle, True)
        except BaseException:
            os.close(handle)
            raise
    return handle


def refuse_links(path: Path) -> None:
    """Raises OSError for a link on the way to `path`, or at its end, in a folder that others can write."""
    with _open_folder(path) as folder:
        if _is_shared(os.fstat(folder)) and _is_link(folder, path.name):
            raise _refusal(path)


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    """The folder of a file, opened part by part: nobody can exchange one that was looked at."""
    parts = path.absolute().parts
    handle = os.open(parts[0], FOLDER)
    try:
        for number, name in enumerate(parts[1:-1], 2):
            following = _open_at(handle, Path(*parts[:number]), name, FOLDER)
            os.close(handle)
            handle = following
        yield handle
    finally:
        os.close(handle)


def _open_at(folder: int, path: Path, name: str, flags: int) -> int:
    if not _is_shared(os.fstat(folder)):
        return os.open(name, flags, 0o600, dir_fd=folder)
    try:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    except OSError as error:
        raise _refusal(path) if _is_link(folder, name) else error from error


def _refusal(path: Path) -> OSError:
    return OSError(errno.ELOOP, f"{path} is a symbolic link in a folder that others can write")


def _is_shared(folder: os.stat_result) -> bool:
    """Whether users other than this one and root can make files in it."""
    return bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) or folder.st_uid not in (0, os.geteuid())


def _is_own(file: os.stat_result) -> bool:
    """Whether it is a file of this user under no other name."""
    return stat.S_ISREG(file.st_mode) and file.st_uid == os.geteuid() and file.st_nlink == 1


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
