"""The open connections: never more than so many, and who opens many of them loses the oldest."""

import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass


@dataclass
class _Connection:
    client: str
    asked: bool = False
    """Whether its request has arrived."""


class Connections:
    """A connection whose request does not arrive is the first to go, and of those one of the client with the most."""

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
            if (found := self._open.get(connection)) is not None:
                found.asked = True

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)

    def _choose(self) -> socket.socket:
        """The oldest of the greediest client's, of those without a request as long as there are any."""
        waiting = {each: about for each, about in self._open.items() if not about.asked} or self._open
        [(greediest, _)] = Counter(about.client for about in waiting.values()).most_common(1)
        return next(each for each, about in waiting.items() if about.client == greediest)
