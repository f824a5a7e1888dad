"""The HTTP server: one thread and one answer for each connection, with limits on all that a client may do."""

import json
import logging
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any, override
from urllib.parse import parse_qsl, urlsplit

from botctl.cli.serve.access import Access, Denied, check_origin, cookies_of
from botctl.cli.serve.connections import Connections
from botctl.cli.serve.documents import HTML, JSON, Document, Documents
from botctl.domain.errors import BotError, explain_failure
from botctl.domain.serialization import to_document
from botctl.domain.text import sanitize
from botctl.reporting.html import content_policy

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For the whole head of a request, however slowly its bytes come."""
SEND_SECONDS = 60.0
"""For the whole answer: the script takes a minute on a bad mobile connection."""
MAX_HEAD_BYTES = 16_384
MAX_CONNECTIONS = 64
MAX_THREADS = 4 * MAX_CONNECTIONS
"""With those whose connection is gone and which wait for the end of one reading, to learn that."""
NO_ROOM_SECONDS = 0.1
"""Between two attempts to take a connection when this process may open no more files."""
SMALLEST_PACKED = 1_000
COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Connection": "close",
}
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    kind: str
    body: bytes
    headers: dict[str, str]
    lasting: bool = False


class Server(ThreadingHTTPServer):
    """Listens at once. A client has `head_seconds` for its question and `send_seconds` to take the answer. Raises
    OSError."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        bind: str,
        port: int,
        documents: Documents,
        access: Access,
        *,
        head_seconds: float = HEAD_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        if ip_address(bind).version == 6:
            self.address_family = socket.AF_INET6
        self.documents, self.access = documents, access
        self.head_seconds, self.send_seconds = head_seconds, send_seconds
        self.connections = Connections(MAX_CONNECTIONS)
        self._room = threading.BoundedSemaphore(MAX_THREADS)
        super().__init__((bind, port), Handler)

    @override
    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for this machine's name
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @override
    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:
            time.sleep(NO_ROOM_SECONDS)  # it is asked again at once
            raise

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.admit(request, str(client_address[0]))
        self._room.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    @override
    def shutdown_request(self, request: Any) -> None:
        self.connections.forget(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("a connection failed: bug: %s", type(error).__name__)
        log.debug("a connection of %s failed", client_address[0], exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One request, one answer, and the connection is closed."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "botctl", ""

    @override
    def handle(self) -> None:
        try:
            head = _read_head(self.request, self.server.head_seconds)
        except (TimeoutError, OSError):
            return  # nobody is there who wants an answer
        self.server.connections.mark_asked(self.request)
        self.request.settimeout(self.server.send_seconds)
        self.requestline, self.request_version, self.command, self.close_connection = "", "HTTP/1.1", "GET", True
        try:
            self._send(self._answer(head))
        except OSError:
            log.debug("%s went away", self.client_address[0])

    def _answer(self, head: bytes | None) -> Answer:
        try:
            return self._find(head)
        except Denied as denied:
            extra = {
                HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
                HTTPStatus.METHOD_NOT_ALLOWED: {"Allow": "GET, HEAD"},
            }
            return _failure(denied.status, str(denied), extra.get(denied.status, {}))
        except ConnectionAbortedError:
            raise
        except BotError as error:
            return _failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "5"})
        except Exception as error:  # its text may hold a secret
            log.error("an answer failed: %s", explain_failure(error) or f"bug: {type(error).__name__}")
            log.debug("an answer failed", exc_info=True)
            return _failure(HTTPStatus.INTERNAL_SERVER_ERROR, "this failed; the log of `botctl serve` says why", {})

    def _find(self, head: bytes | None) -> Answer:
        """Raises Denied, BotError."""
        if head is None:
            raise Denied(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request's head may have {MAX_HEAD_BYTES} bytes"
            )
        self._parse(head)
        if self.command not in ("GET", "HEAD"):
            raise Denied(HTTPStatus.METHOD_NOT_ALLOWED, "this is read-only: GET and HEAD alone")
        path, query = self._split()
        given = query.pop("token", None)
        header = self.headers.get
        if len(self.headers.get_all("Host", [])) != 1:
            raise Denied(HTTPStatus.BAD_REQUEST, "a request names one Host")
        cookies = cookies_of(header("Cookie", ""), self._cookie)
        self.server.access.check(self.client_address[0], header("Host"), header("Authorization"), given, cookies)
        check_origin(header("Sec-Fetch-Site", ""), header("Sec-Fetch-Mode", ""), header("Origin"), header("Host"))
        document = self.server.documents.read(path, query, lambda: self.server.connections.is_open(self.request))
        log.debug("%s %s %s", self.client_address[0], self.command, sanitize(path))
        return self._present(document, tell_cookie=given is not None)

    def _parse(self, head: bytes) -> None:
        """Read the request line and the headers. Raises Denied."""
        self.rfile = BytesIO(head)
        self.raw_requestline = self.rfile.readline(MAX_HEAD_BYTES)
        self.problem: Denied | None = None
        try:
            parsed = self.parse_request()
        except ValueError:
            parsed = False
        self.close_connection = True
        if self.problem is not None:
            raise self.problem
        if not parsed or self.request_version not in ("HTTP/1.0", "HTTP/1.1") or not self.path.startswith("/"):
            raise Denied(HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1.1")

    def _split(self) -> tuple[str, dict[str, str]]:
        """The path and the query of the address. Raises Denied."""
        target = self.requestline.split()[1]  # `self.path` has lost the second of two slashes
        try:
            address = urlsplit("//here" + target)
            return address.path, dict(parse_qsl(address.query, keep_blank_values=True, max_num_fields=10))
        except ValueError:
            raise Denied(HTTPStatus.BAD_REQUEST, "this address can't be read") from None

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library finds wrong with a request is answered as everything else."""
        self.problem = Denied(HTTPStatus(code), (message or HTTPStatus(code).phrase)[:200])

    @override
    def handle_expect_100(self) -> bool:
        return True  # there is no body to wait for

    @property
    def _cookie(self) -> str:
        """The name of the cookie: a browser sends it to each port of this machine, and some other may serve there."""
        return f"botctl-{self.server.server_port}"

    def _present(self, document: Document, *, tell_cookie: bool) -> Answer:
        headers = {}
        if document.kind == HTML:
            headers["Content-Security-Policy"] = f"{content_policy()}; frame-ancestors 'none'"
            if tell_cookie:
                headers["Set-Cookie"] = f"{self._cookie}={self.server.access.cookie}; HttpOnly; SameSite=Strict; Path=/"
        body = document.body
        if len(body) > SMALLEST_PACKED:
            headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(self.headers.get("Accept-Encoding", "")):
                headers["Content-Encoding"] = "gzip"
                body = document.pack()
        return Answer(HTTPStatus.OK, document.kind, body, headers, document.lasting)

    def _send(self, answer: Answer) -> None:
        self.request_version = self.protocol_version  # as HTTP/0.9, which nonsense passes for, it would have no head
        self.send_response(answer.status)
        lasting = "private, max-age=31536000, immutable"
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": lasting if answer.lasting else "no-store",
            "Content-Security-Policy": NO_CONTENT_POLICY,
            **COMMON_HEADERS,
            **answer.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing for each request: it may hold the token."""


def _failure(status: HTTPStatus, why: str, headers: dict[str, str]) -> Answer:
    return Answer(status, JSON, json.dumps(to_document({"error": why})).encode() + b"\n", headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether the header Accept-Encoding names it, and not to refuse it."""
    found = [each.partition(";") for each in accepted.lower().replace(" ", "").split(",")]
    return any(name == "gzip" and not re.fullmatch(r"q=0(\.0*)?", weight) for name, _, weight in found)


def _read_head(connection: socket.socket, seconds: float) -> bytes | None:
    """All up to the empty line; None when it is too long. Raises TimeoutError, and OSError when the client goes."""
    head, end = bytearray(), time.monotonic() + seconds
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        if len(head) > MAX_HEAD_BYTES:
            return None
        connection.settimeout(max(0.001, end - time.monotonic()))
        received = connection.recv(4096)
        if not received:
            raise ConnectionResetError
        head += received
        if time.monotonic() >= end:
            raise TimeoutError
    return bytes(head) if len(head) <= MAX_HEAD_BYTES else None
