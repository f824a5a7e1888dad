"""No core dumps: a memory image on disk would hold the keys."""

import resource
from contextlib import suppress


def forbid_core_dumps() -> None:
    """For this process and the programs that it starts."""
    with suppress(OSError, ValueError):  # a system that refuses it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
