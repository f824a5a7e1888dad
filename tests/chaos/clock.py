"""The time of a world: real time moved by an offset that all of its processes share, so that waiting costs nothing."""

import mmap
import struct
import threading
import time
from pathlib import Path

from freezegun import api

DOUBLE = struct.Struct("d")
LONGEST_WAIT = 3.0
"""Real seconds: nobody may be left who moves the clock."""


class WorldClock:
    """A clock in a shared file. Who sleeps in this world moves it on for everybody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(DOUBLE.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), DOUBLE.size)

    @property
    def offset(self) -> float:
        """Seconds that this world is ahead of the real time; negative when it is behind."""
        (offset,) = DOUBLE.unpack(self._shared[:])
        return float(offset)

    def now(self) -> float:
        """Unix seconds in this world."""
        return api.real_time() + self.offset  # a name of our own would be frozen with the rest

    def set(self, moment: float) -> None:
        """Let it be `moment` now."""
        self._shared[:] = DOUBLE.pack(moment - api.real_time())

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._shared[:] = DOUBLE.pack(self.offset + seconds)

    def wait(self, seconds: float, released: threading.Event) -> None:
        """Return when so many seconds of this world have passed, or the longest wait, or `released` is set."""
        end, real_end = self.now() + seconds, time.monotonic() + min(seconds, LONGEST_WAIT)
        while not released.is_set() and self.now() < end and time.monotonic() < real_end:
            time.sleep(0.005)

    def close(self) -> None:
        self._shared.close()
