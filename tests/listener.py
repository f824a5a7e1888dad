"""A local HTTP server that records every POST, and misbehaves on request."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request: its path with its query, its body, and when it arrived."""

    path: str
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


class Listener:
    """Answers `status`; with `hangs` it accepts the request and never answers, with `drips` its answer never ends."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 200
        self.answer, self.packing = b"OK", ""
        """What it says, and how that is packed."""
        self.hangs = False
        self.drips = False
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.received]

    @property
    def lines(self) -> list[str]:
        """Every line of every message that came through apprise's json://."""
        return [line for request in self.received for line in request.json()["message"].splitlines()]

    def clear(self) -> None:
        self.received.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listener.received.append(Received(self.path, body, time.time()))
                if listener.hangs:
                    listener._stopped.wait(60)
                    return
                self.send_response(listener.status)
                self.send_header("Content-Length", "1000000" if listener.drips else str(len(listener.answer)))
                if listener.packing:
                    self.send_header("Content-Encoding", listener.packing)
                self.end_headers()
                while listener.drips and not listener._stopped.wait(0.2):
                    try:
                        self.wfile.write(b".")
                        self.wfile.flush()
                    except OSError:
                        return
                self.wfile.write(listener.answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
