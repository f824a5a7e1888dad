"""Where tests keep files that are soon gone."""

import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2**30
"""A container may give it 64 MB, and a full one would fail tests."""


def shelf() -> Path:
    """In memory where there is room: many small files are written and removed there without a disk."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())
