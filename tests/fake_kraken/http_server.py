"""HTTP as Kraken's gateway speaks it, on a port of this machine."""

import contextlib
import selectors
import socket
import socketserver
import struct
import sys
import threading
import traceback
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, override
from urllib.parse import urlsplit

from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.faults import Reply


class Backend(Protocol):
    """What answers the requests that come in over HTTP."""

    clock: KrakenClock
    bugs: list[str]
    """Receives the traceback of whatever fails in the fake Kraken itself or in a test's hooks."""
    hanging_up: bool
    """Whether each connection is to end with the answer that is under way on it."""

    def answer(self, path: str, headers: Message, sent: str) -> Reply | None:
        """The reply to a request, or None to close the connection without one."""


class HttpServer(ThreadingHTTPServer):
    """One thread a connection, all of them forgotten at a stop."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, backend: Backend, port: int, handler: type["HttpHandler"]) -> None:
        self.backend = backend
        self._connections: set[socket.socket] = set()
        self._bell, self._rung = socket.socketpair()
        self._ended = threading.Event()
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's full name, which may ask a DNS server that isn't there."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    @override
    def serve_forever(self, poll_interval: float = 0) -> None:
        """Without socketserver's polling: a thousand of these wait for requests, and for their end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while all(key.fileobj is not self._bell for key, _ in selector.select()):
                self._handle_request_noblock()  # type: ignore[attr-defined]
        self._ended.set()

    @override
    def shutdown(self) -> None:
        """Accept no connection from now on."""
        with contextlib.suppress(OSError):  # closed before
            self._rung.send(b"!")
        self._ended.wait()

    @override
    def server_close(self) -> None:
        super().server_close()
        self._bell.close()
        self._rung.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().close_request(request)

    def drop_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # the client may be faster
                connection.shutdown(socket.SHUT_RDWR)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that died or lost patience is everyday life; anything else is a bug in here."""
        if not isinstance(sys.exception(), ConnectionError):
            self.backend.bugs.append(traceback.format_exc())


class HttpHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections, the way Kraken's gateway talks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    @override
    def parse_request(self) -> bool:
        """Without the parser of email, which takes as long as the answer to most requests."""
        words = self.raw_requestline.decode("latin-1").split()
        if len(words) != 3:
            return False
        self.requestline = " ".join(words)
        self.command, self.path, self.request_version = words
        self.headers = Message()
        while (line := self.rfile.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name] = value.strip()
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        is_private = url.path.startswith("/0/private/")
        self.send(Reply(b"", status=405) if is_private else self._reply(url.path, url.query))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client died in the middle of its request
        else:
            self.send(self._reply(self.path, body.decode()))

    def _reply(self, path: str, sent: str) -> Reply | None:
        try:
            return self.server.backend.answer(path, self.headers, sent)
        except Exception:  # noqa: BLE001 (hooks may raise anything, and the test must hear of it)
            self.server.backend.bugs.append(traceback.format_exc())
            return Reply(b"the fake Kraken itself failed", status=500, content_type="text/plain")

    def send(self, reply: Reply | None) -> None:
        if reply is None or reply.reset:
            self.close_connection = True
            if reply:
                self._reset()
            return
        self.send_response_only(reply.status)
        date = formatdate(self.server.backend.clock.now(), usegmt=True) if reply.date is None else reply.date
        self.send_header("Date", date)
        self.send_header("Content-Type", reply.content_type)
        if reply.packing:
            self.send_header("Content-Encoding", reply.packing)
        self.send_header("Content-Length", str(reply.length))
        self.end_headers()
        self.wfile.write(reply.body)
        self.close_connection |= reply.length > len(reply.body) or self.server.backend.hanging_up

    def _reset(self) -> None:
        """Close at once and for both sides: with a linger of zero seconds the kernel sends RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        raise ConnectionResetError  # there is nothing left that the server could flush

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: `kraken.requests` tells more."""
