"""The server of the fake Kraken: HTTP, the gate with its keys and nonces, and the faults."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import socket
import socketserver
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, override
from urllib.parse import parse_qsl, urlsplit

from tests.fake_kraken.account import FakeBook
from tests.fake_kraken.faults import KINDS, Fault, FaultQueue, Reply, bend
from tests.fake_kraken.wire import Endpoint, JsonObject, Params, Refusal, Request

TRADING_RIGHTS = {"query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"}
# Any one of the words opens the endpoint. Those that aren't named need no permission.
NEEDED_RIGHTS = {
    "Balance": {"query-funds"},
    "BalanceEx": {"query-funds"},
    "TradeVolume": {"query-funds"},
    "OpenOrders": {"query-open-trades"},
    "ClosedOrders": {"query-closed-trades"},
    "QueryOrders": {"query-open-trades", "query-closed-trades"},
    "TradesHistory": {"query-closed-trades"},
    "QueryTrades": {"query-closed-trades"},
    "AddOrder": {"modify-trades"},
    "CancelOrder": {"modify-trades", "close-trades"},
}
CALL_COST = {"TradesHistory": 2, "AddOrder": 0, "CancelOrder": 0}  # every other private call counts 1


class FakeKraken(FakeBook):
    """The server and its remote control. Markets and account come from the two layers below it."""

    def __init__(self, *, nonce_window: int = 0, latency: float = 0.0, port: int = 0) -> None:
        super().__init__()
        self.api_key = "fake-kraken-key"
        self.secret = base64.b64encode(hashlib.sha512(b"the secret of the fake Kraken").digest()).decode()
        self.permissions = set(TRADING_RIGHTS)
        self.key_valid_until = "0"
        self.nonce_window = nonce_window
        self.latency = latency
        self.rate_limit: tuple[float, float] | None = None  # highest count, decay per second
        self.before: Callable[[Request], object] | None = None
        self.after: Callable[[Request], object] | None = None
        self.requests: list[Request] = []
        self.bugs: list[str] = []  # tracebacks of the server's own failures, and of hooks
        self._faults = FaultQueue()
        self._nonces: set[int] = set()
        self._counter, self._counted_at = 0.0, self.now()
        self._wake = threading.Event()
        self._running = False
        self.hanging_up = False
        self._port = port
        self._server: _Server | None = None

    # Starting and stopping.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen. After a stop it is the same port again, so that an outage can end."""
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        self._wake = threading.Event()
        self._running = True
        self.hanging_up = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on. Whatever hangs is dropped, and not processed any more."""
        if self._server is None:
            return
        self._running = False
        self._wake.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()
        self._server = None

    def hang_up(self) -> None:
        """Finish the answers under way, then refuse connections until the next `start`."""
        if self._server is None:
            return
        self.hanging_up = True
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.bugs and kind is None:
            raise AssertionError("the fake Kraken itself failed:\n" + "\n".join(self.bugs))

    # What tests do to it.

    def fault(
        self,
        endpoint: str,
        kind: str,
        times: int = 1,
        skip: int = 0,
        *,
        processed: bool | None = None,
        seconds: float = 60.0,
        status: int = 502,
        error: str | list[str] | None = None,
        body: Any = None,
    ) -> None:
        """Spoil the next `times` requests to `endpoint` ('*' for any), after `skip` good ones.

        The kinds are in KINDS, with what `processed` is when left out. `seconds` belongs to the hanging
        ones, `status` to "status", `error` to "error" and "warning", `body` to "shape" and the HTML pages.
        """
        self._check_endpoint(endpoint)
        done = KINDS[kind] if processed is None else processed
        with self.lock:
            self._faults.add(endpoint, Fault(kind, times, skip, done, seconds, status, error, body))

    def clear_faults(self) -> None:
        """Behave from now on. Requests that already hang go on hanging: see `release`."""
        with self.lock:
            self._faults.clear()

    def release(self) -> None:
        """Let every hanging request go on at once, as if its seconds had passed."""
        self._wake.set()
        self._wake = threading.Event()

    def count(self, endpoint: str) -> int:
        """How many requests to `endpoint` arrived, spoiled ones included; '*' counts all."""
        self._check_endpoint(endpoint)
        return sum(endpoint in ("*", request.endpoint) for request in list(self.requests))

    def clear_requests(self) -> None:
        self.requests.clear()

    def _check_endpoint(self, endpoint: str) -> None:
        """A misspelled name would make a test pass for the wrong reason."""
        if endpoint not in {"*", *self.public_endpoints(), *self.private_endpoints()}:
            raise ValueError(f"the fake Kraken has no endpoint {endpoint}")

    # One request, from arrival to reply. It runs in the server's threads; only the handling itself takes the lock.

    def answer(self, path: str, headers: Message, sent: str) -> Reply | None:
        """The reply to a request, or None to close the connection without one."""
        request = Request(endpoint=path.rsplit("/", 1)[-1], params=dict(parse_qsl(sent, True)), at=self.now())
        fault = self._note(request)
        if self.before:
            self.before(request)
        if fault and fault.kind in ("drop_before", "reset_before"):
            return bend(fault, {})
        # The gate comes before any delay: a request that hangs behind it has used its nonce already,
        # and may be processed long after a later one.
        answer = self._refusal_at_the_gate(request, path, headers, sent)
        self._wait(self.latency)
        if fault and fault.kind == "hang_before":
            self._wait(fault.seconds)
        if not self._running:
            return None
        if answer is None and (fault is None or fault.processed):
            answer = self._handle(request, self._endpoints(path)[request.endpoint])
        if self.after:
            self.after(request)
        if fault and fault.kind == "hang_after":
            self._wait(fault.seconds)
        return bend(fault, answer or {"error": []}) if self._running else None

    def _note(self, request: Request) -> Fault | None:
        with self.lock:
            self.requests.append(request)
            fault = self._faults.take(request.endpoint)
            request.fault = fault.kind if fault else None
            return fault

    def _endpoints(self, path: str) -> dict[str, Endpoint]:
        folder = path.rsplit("/", 1)[0]
        known = {"/0/public": self.public_endpoints, "/0/private": self.private_endpoints}
        return known[folder]() if folder in known else {}

    def private_endpoints(self) -> dict[str, Endpoint]:
        return {**super().private_endpoints(), "GetApiKeyInfo": self._get_api_key_info}

    def _handle(self, request: Request, endpoint: Endpoint) -> JsonObject:
        with self.lock:
            request.processed = True
            self.fill_slow_orders()
            try:
                return {"error": [], "result": endpoint(request)}
            except Refusal as refusal:
                return refuse(request, refusal)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._wake.wait(seconds)

    # The gate: who may come in.

    def _refusal_at_the_gate(self, request: Request, path: str, headers: Message, sent: str) -> JsonObject | None:
        with self.lock:
            try:
                if request.endpoint not in self._endpoints(path):
                    raise Refusal("EGeneral:Unknown method")
                if path.startswith("/0/private/"):
                    self._check_signature(path, headers, request.params, sent)
                    self._check_nonce(request.params)
                    self._check_rate(request)
                    self._check_rights(request.endpoint)
            except Refusal as refusal:
                return refuse(request, refusal)
        return None

    def _check_signature(self, path: str, headers: Message, params: Params, body: str) -> None:
        if headers.get("API-Key") != self.api_key:
            raise Refusal("EAPI:Invalid key")
        if not hmac.compare_digest(sign(self.secret, path, params.get("nonce", ""), body), signature_in(headers)):
            raise Refusal("EAPI:Invalid signature")

    def _check_nonce(self, params: Params) -> None:
        """Higher than any before; with a window, up to that much lower if it was never used."""
        text = params.get("nonce", "")
        nonce = int(text) if text.isdigit() else -1
        if nonce < 0 or nonce in self._nonces or nonce <= self.last_nonce - self.nonce_window:
            raise Refusal("EAPI:Invalid nonce")
        self._nonces.add(nonce)

    @property
    def last_nonce(self) -> int:
        """The highest nonce this key has used; -1 before the first. Tests may set it to poison the key."""
        return max(self._nonces, default=-1)

    @last_nonce.setter
    def last_nonce(self, nonce: int) -> None:
        self._nonces = {nonce}

    def _check_rate(self, request: Request) -> None:
        """Kraken's counter: calls fill it, time drains it. A refused call counts too."""
        if self.rate_limit is None:
            return
        highest, decay = self.rate_limit
        drained = max(0.0, self._counter - decay * (request.at - self._counted_at))
        self._counter, self._counted_at = drained + CALL_COST.get(request.endpoint, 1), request.at
        if self._counter > highest and CALL_COST.get(request.endpoint, 1):
            raise Refusal("EAPI:Rate limit exceeded")

    def _check_rights(self, endpoint: str) -> None:
        needed = NEEDED_RIGHTS.get(endpoint)
        if needed and not needed & self.permissions:
            raise Refusal("EGeneral:Permission denied")

    def _get_api_key_info(self, _request: Request) -> JsonObject:
        return {
            "apiKeyName": "bot",
            "apiKey": self.api_key,
            "nonce": str(self.last_nonce),
            "nonceWindow": self.nonce_window,
            "permissions": sorted(self.permissions),
            "iban": "AA00 N000 0000 0000",
            "validUntil": self.key_valid_until,
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "1790000000",
            "modifiedTime": "1790000000",
            "ipAllowlist": [],
            "lastUsed": str(int(self.now())),
        }


def refuse(request: Request, refusal: Refusal) -> JsonObject:
    request.error = str(refusal)
    return {"error": [str(refusal)]}


def sign(secret: str, path: str, nonce: str, body: str) -> bytes:
    digest = hashlib.sha256((nonce + body).encode()).digest()
    return hmac.digest(base64.b64decode(secret), path.encode() + digest, "sha512")


def signature_in(headers: Message) -> bytes:
    try:
        return base64.b64decode(headers.get("API-Sign", ""))
    except binascii.Error:
        return b""


class _Server(ThreadingHTTPServer):
    """One thread a connection, all of them forgotten at a stop."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, kraken: FakeKraken, port: int) -> None:
        self.kraken = kraken
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's full name, which may ask a DNS server that isn't there."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

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
            self.kraken.bugs.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections, the way Kraken's gateway talks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        is_private = url.path.startswith("/0/private/")
        self._send(Reply(b"", status=405) if is_private else self._reply(url.path, url.query))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client died in the middle of its request
        else:
            self._send(self._reply(self.path, body.decode()))

    def _reply(self, path: str, sent: str) -> Reply | None:
        kraken = self.server.kraken
        try:
            return kraken.answer(path, self.headers, sent)
        except Exception:  # noqa: BLE001 (hooks may raise anything, and the test must hear of it)
            kraken.bugs.append(traceback.format_exc())
            return Reply(b"the fake Kraken itself failed", status=500, content_type="text/plain")

    def _send(self, reply: Reply | None) -> None:
        if reply is None or reply.reset:
            self.close_connection = True
            if reply:
                self._reset()
            return
        self.send_response_only(reply.status)
        date = formatdate(self.server.kraken.now(), usegmt=True) if reply.date is None else reply.date
        self.send_header("Date", date)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(reply.length))
        self.end_headers()
        self.wfile.write(reply.body)
        self.close_connection |= reply.length > len(reply.body) or self.server.kraken.hanging_up

    def _reset(self) -> None:
        """Close at once and for both sides: with a linger of zero seconds the kernel sends RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        raise ConnectionResetError  # there is nothing left that the server could flush

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: `kraken.requests` tells more."""
