"""A file beside the database that is given up when the disk is full, so that an exit can still be written down."""

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

RESERVE_BYTES = 512 * 1024
"""Enough for a run that records some dozens of orders."""
LEAST_FREE_BYTES = 256 * 1024
"""With less the disk counts as full."""


def give_up_reserve(database: Path) -> None:
    """Make room on a full disk: an order that can't be written down is not sent, be it a stop that was hit."""
    reserve = _reserve_of(database)
    if reserve.exists() and _free_bytes(database) < LEAST_FREE_BYTES:
        with suppress(OSError):
            reserve.unlink()
            log.warning(
                "the disk is full: %s was given up, so that exits can be recorded: free some disk space", reserve
            )


def keep_reserve(database: Path) -> None:
    """Put it there, if it is missing and there is room for twice as much."""
    reserve = _reserve_of(database)
    if reserve.exists() or _free_bytes(database) < 2 * RESERVE_BYTES + LEAST_FREE_BYTES:
        return
    try:
        handle = os.open(reserve, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(RESERVE_BYTES))  # zeros may take no room on a disk that compresses
    except OSError as error:
        log.debug("%s: %s", reserve, error)
        with suppress(OSError):
            reserve.unlink()


def _reserve_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.reserve")


def _free_bytes(database: Path) -> int:
    """What this user may still write beside the database; plenty where nobody can say."""
    try:
        stats = os.statvfs(database.parent)
    except OSError:
        return LEAST_FREE_BYTES
    return stats.f_bavail * stats.f_frsize
