"""The fake Kraken itself: joins markets, account and key behind an HTTP server, and spoils answers on command."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from email.message import Message
from types import TracebackType
from typing import Any, Self

from tests.fake_kraken.account import AccountSnapshot, FakeAccount
from tests.fake_kraken.api_key import ApiKey, KeySnapshot
from tests.fake_kraken.clock import KrakenClock, TimeSource
from tests.fake_kraken.faults import KINDS, Fault, FaultQueue, Reply, bend
from tests.fake_kraken.http_server import HttpHandler, HttpServer
from tests.fake_kraken.lies import Lies, Truth
from tests.fake_kraken.markets import FakeMarkets, MarketsSnapshot
from tests.fake_kraken.orders import Instant, Order, Trade
from tests.fake_kraken.private_endpoints import PrivateEndpoints
from tests.fake_kraken.public_endpoints import PublicEndpoints
from tests.fake_kraken.wire import Endpoint, JsonObject, Number, Refusal, Request, read_params, refuse


@dataclass(frozen=True)
class KrakenSnapshot:
    """A fake Kraken to begin from again and again: all but what tests do to its requests."""

    account: AccountSnapshot
    markets: MarketsSnapshot
    key: KeySnapshot
    clock_offset: float


class FakeKraken:
    """The server. What it is made of can be changed at any time: `markets`, `account`, `key` and `clock`.

    What tests say most often is here as well: prices and candles, `orders`, `trades` and `balances`.
    """

    def __init__(
        self,
        *,
        nonce_window: int = 0,
        latency: float = 0.0,
        port: int = 0,
        time: TimeSource | None = None,
        handler: type[HttpHandler] = HttpHandler,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = KrakenClock(time)
        self.markets = FakeMarkets(self.lock)
        self.account = FakeAccount(self.markets, self.clock, self.lock)
        self.key = ApiKey(nonce_window)
        self.lies = Lies(Truth(self.markets, self.account, self.clock))
        self.latency = latency
        self.before: Callable[[Request], object] | None = None
        """Called with each request before it is processed."""
        self.after: Callable[[Request], object] | None = None
        """Called with each request once it is processed."""
        self.alter_reply: Callable[[Request, Reply], Reply] | None = None
        """What becomes of a reply on its way out."""
        self.requests: list[Request] = []
        self.signatures: list[str] = []
        """Every API-Sign that came in; `clear_requests` leaves it."""
        self.bugs: list[str] = []
        """Tracebacks of the server's own failures, and of hooks."""
        self.under_way = 0
        """How many requests have arrived and are not answered yet, those that hang included."""
        self.hanging_up = False
        self._public = PublicEndpoints(self.markets, self.clock)
        self._private = PrivateEndpoints(self.account, self.markets, self.key, self.clock)
        self._faults = FaultQueue()
        self._released = threading.Event()
        self._running = False
        self._port = port
        self._handler = handler
        self._server: HttpServer | None = None

    # Starting and stopping.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen. After a stop it is the same port again, so that an outage can end."""
        self._server = HttpServer(self, self._port, self._handler)
        self._port = self._server.server_address[1]
        self._running = True
        self.hanging_up = False
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on. Whatever hangs is dropped, and not processed any more."""
        if self._server is None:
            return
        self._running = False
        self.release()
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

    def snapshot(self) -> KrakenSnapshot:
        with self.lock:
            parts = self.account.snapshot(), self.markets.snapshot(), self.key.snapshot()
            return KrakenSnapshot(*parts, self.clock.offset)

    def restore(self, kept: KrakenSnapshot) -> None:
        """Be as this or another fake Kraken was."""
        with self.lock:
            self.account.restore(kept.account)
            self.markets.restore(kept.markets)
            self.key.restore(kept.key)
            self.clock.offset = kept.clock_offset

    # What tests say most often of its parts.

    @property
    def api_key(self) -> str:
        return self.key.public

    @property
    def secret(self) -> str:
        return self.key.secret

    @property
    def orders(self) -> list[Order]:
        """Every order of the account, the oldest first."""
        return self.account.orders

    @property
    def trades(self) -> list[Trade]:
        """Every fill of the account, the oldest first."""
        return self.account.trades

    @property
    def balances(self) -> dict[str, Decimal]:
        """What the account has of each asset, by Kraken's ids such as `XXBT`."""
        return self.account.balances

    def set_price(self, symbol: str, last: Number, bid: Number | None = None, ask: Number | None = None) -> None:
        """Move the price; resting limit orders that it reaches are filled at their limit.

        Without `bid` and `ask` there is no spread: both are the last price.
        """
        with self.lock:
            self.markets.set_price(symbol, last, bid, ask)
            self.account.fill_resting_orders(symbol)

    def result_of(self, endpoint: str, **params: str) -> JsonObject:
        """What a public endpoint, or one without parameters, says now; it is no request."""
        with self.lock:
            endpoints = self._public.by_name() | self._private.by_name()
            return endpoints[endpoint](Request(endpoint, params, self.clock.now()))

    def set_candles(self, symbol: str, closes_or_rows: Iterable[Number | Sequence[Number]], interval: int = 15) -> None:
        """As `FakeMarkets.set_candles`."""
        self.markets.set_candles(symbol, closes_or_rows, interval)

    def flat_candles(
        self, symbol: str, price: Number, true_range: Number, count: int = 120, interval: int = 15
    ) -> None:
        """As `FakeMarkets.flat_candles`."""
        self.markets.flat_candles(symbol, price, true_range, count, interval)

    def trade_by_hand(self, side: str, symbol: str, amount: Decimal) -> Order:
        """The owner's own market order, as from Kraken's website: filled at once, whatever the account's fill mode.

        Raises Refusal where Kraken refuses it.
        """
        market = self.markets[symbol]
        params = {"pair": market.id, "type": side, "ordertype": "market", "volume": f"{amount:f}", "oflags": "fciq"}
        with self.lock:
            mode, self.account.fill_mode = self.account.fill_mode, Instant()
            try:
                self._private.by_name()["AddOrder"](Request("AddOrder", params, self.clock.now()))
            finally:
                self.account.fill_mode = mode
            return self.orders[-1]

    # What tests do to requests.

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
        self._released.set()
        self._released = threading.Event()

    def count(self, endpoint: str) -> int:
        """How many requests to `endpoint` arrived, spoiled ones included; '*' counts all."""
        self._check_endpoint(endpoint)
        return sum(endpoint in ("*", request.endpoint) for request in list(self.requests))

    def clear_requests(self) -> None:
        self.requests.clear()

    def _check_endpoint(self, endpoint: str) -> None:
        """A misspelled name would make a test pass for the wrong reason."""
        if endpoint not in {"*", *self._public.by_name(), *self._private.by_name()}:
            raise ValueError(f"the fake Kraken has no endpoint {endpoint}")

    # One request, from arrival to reply. It runs in the server's threads; only the handling itself takes the lock.

    def answer(self, path: str, headers: Message, sent: str) -> Reply | None:
        """The reply to a request, or None to close the connection without one."""
        request = Request(
            endpoint=path.rsplit("/", 1)[-1],
            params=read_params(sent),
            at=self.clock.now(),
            signature=headers.get("API-Sign", ""),
        )
        fault = self._note(request)
        try:
            reply = self._reply(request, fault, path, headers, sent)
        finally:
            with self.lock:
                self.under_way -= 1
        if self.alter_reply is None or reply is None or reply.reset:
            return reply
        return self.alter_reply(request, reply)

    def _note(self, request: Request) -> Fault | None:
        with self.lock:
            self.under_way += 1
            self.requests.append(request)
            if request.signature:
                self.signatures.append(request.signature)
            fault = self._faults.take(request.endpoint)
            request.fault = fault.kind if fault else None
            return fault

    def _reply(self, request: Request, fault: Fault | None, path: str, headers: Message, sent: str) -> Reply | None:
        if self.before:
            self.before(request)
        if fault and fault.kind in ("drop_before", "reset_before"):
            return bend(fault, {})
        # The gate comes before any delay: a request that hangs behind it has used its nonce already,
        # and may be processed long after a later one.
        answer, date = self._refusal_at_the_gate(request, path, headers, sent), None
        self._wait(self.latency)
        if fault and fault.kind == "hang_before":
            self._wait(fault.seconds)
        if not self._running:
            return None
        if answer is None and (fault is None or fault.processed):
            answer, date = self._handle(request, self._endpoints(path)[request.endpoint])
        if self.after:
            self.after(request)
        if fault and fault.kind == "hang_after":
            self._wait(fault.seconds)
        reply = bend(fault, answer or {"error": []}) if self._running else None
        return reply if reply is None or date is None else replace(reply, date=date)

    def _refusal_at_the_gate(self, request: Request, path: str, headers: Message, sent: str) -> JsonObject | None:
        with self.lock:
            try:
                if request.endpoint not in self._endpoints(path):
                    raise Refusal("EGeneral:Unknown method")
                if path.startswith("/0/private/"):
                    self.key.admit(request, path, headers, sent)
            except Refusal as refusal:
                return refuse(request, refusal)
        return None

    def _endpoints(self, path: str) -> dict[str, Endpoint]:
        folder = path.rsplit("/", 1)[0]
        known = {"/0/public": self._public.by_name, "/0/private": self._private.by_name}
        return known[folder]() if folder in known else {}

    def _handle(self, request: Request, endpoint: Endpoint) -> tuple[JsonObject, str | None]:
        """The answer, and its date where a lie is told about that."""
        with self.lock:
            request.processed = True
            self.account.fill_slow_orders()
            try:
                result, date = self.lies.change(request.endpoint, endpoint(request))
            except Refusal as refusal:
                return refuse(request, refusal), None
            return {"error": [], "result": result}, date

    def _wait(self, seconds: float) -> None:
        released = self._released  # before the look at `_running`: a stop that comes between the two sets this one
        if seconds > 0 and self._running:
            self.clock.wait(seconds, released)
