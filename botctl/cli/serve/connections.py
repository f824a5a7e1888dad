"""The open connections: never more than so many, and who opens many of them loses the oldest."""

import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class _Connection:
    client: str
    asked: bool = False
    """Whether its request has arrived."""


class Connections:
    """Those whose request has not arrived and those that are answered have half of the room each, so that neither kind
    takes the other's place. The first to go is the oldest of the kind with more than that, of the client with most."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}

    def admit(self, connection: socket.socket, client: str) -> None:
        """Never waits. One that has to go is shut down: its thread ends by itself."""
        with self._lock:
            if len(self._open) >= self.limit:
                victim = self._choose()
                del self._open[victim]
                with suppress(OSError):
                    victim.shutdown(socket.SHUT_RDWR)
            self._open[connection] = _Connection(client)

    def mark_asked(self, connection: socket.socket) -> None:
        with self._lock:
            if (found := self._open.pop(connection, None)) is not None:
                self._open[connection] = replace(found, asked=True)  # the newest of those that are answered

    def is_open(self, connection: socket.socket) -> bool:
        """Whether somebody still waits for an answer here."""
        with self._lock:
            return connection in self._open

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)

    def _choose(self) -> socket.socket:
        silent = {each: about for each, about in self._open.items() if not about.asked}
        answered = {each: about for each, about in self._open.items() if about.asked}
        crowd = silent if len(silent) >= self.limit / 2 else answered
        [(greediest, _)] = Counter(about.client for about in crowd.values()).most_common(1)
        return next(each for each, about in crowd.items() if about.client == greediest)
