"""A fake Kraken in a process of its own, 100 ms away from the bot, that counts its traffic."""

import multiprocessing
import time
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from tests.fake_kraken import FakeKraken, Instant, Order
from tests.fake_kraken.http_server import HttpHandler

ROUND_TRIP = 0.1
"""Seconds from a request to its answer."""
MARKETS = 1_000
"""Besides the eight that every fake Kraken lists; the real one lists a few more."""


@dataclass(frozen=True)
class Traffic:
    """The requests since the last `forget`."""

    endpoints: list[str]
    arrived_at: list[float]
    """Unix seconds of each."""
    sent_bytes: int
    """By the bot."""
    answered_bytes: int

    def first(self, endpoint: str) -> float:
        """When the first request to `endpoint` arrived."""
        return self.arrived_at[self.endpoints.index(endpoint)]


class CountingKraken(FakeKraken):
    """Counts bytes, and delays its answers."""

    sent = answered = 0
    distance = 0.0
    """Seconds from a request's arrival to its answer, including the fake's own work."""

    def __init__(self) -> None:
        super().__init__(handler=CountingHandler)

    def account_key(self) -> tuple[str, str, str]:
        return self.url, self.api_key, self.secret

    def hold(self, symbols: list[str], amount: str) -> None:
        """Sets the balances: `amount` of each symbol's asset, and USD."""
        with self.lock:
            self.account.balances = {"ZUSD": Decimal(10_000)}
            self.account.balances |= {self.markets[symbol].base.id: Decimal(amount) for symbol in symbols}

    def price(self, symbols: list[str], last: str) -> None:
        for symbol in symbols:
            self.set_price(symbol, last)

    def rest(self, stops: list[tuple[str, str, str]], amount: str, trigger: str) -> None:
        """Sets the orders: one waiting stop each, by symbol, exchange id and client order id."""
        with self.lock:
            self.account.orders = [waiting_stop(*names, Decimal(amount), Decimal(trigger)) for names in stops]

    def forget(self) -> None:
        self.clear_requests()
        self.sent = self.answered = 0

    def traffic(self) -> Traffic:
        requests = list(self.requests)
        return Traffic([r.endpoint for r in requests], [r.at for r in requests], self.sent, self.answered)


def waiting_stop(symbol: str, txid: str, client_id: str, amount: Decimal, trigger: Decimal) -> Order:
    return Order(
        txid=txid, cl_ord_id=client_id, userref=None, side="sell", symbol=symbol, ordertype="stop-loss", volume=amount,
        limit=None, flags=frozenset({"fciq"}), quote_volume=None, hold_price=trigger, opened_at=time.time(),
        mode=Instant(), visible_at=0.0, hidden_looks=0, trigger=trigger, self_trade="cancel-oldest",
    )  # fmt: skip


class CountingHandler(HttpHandler):
    @property
    def counting(self) -> CountingKraken:
        backend = self.server.backend
        assert isinstance(backend, CountingKraken)
        return backend

    def parse_request(self) -> bool:
        self.arrived = time.monotonic()
        parsed = super().parse_request()
        if parsed:
            body = int(self.headers.get("Content-Length") or 0)
            self.counting.sent += len(self.raw_requestline) + len(self.headers.as_bytes()) + body
        return parsed

    def end_headers(self) -> None:
        self.counting.answered += sum(map(len, self._headers_buffer))
        super().end_headers()

    def send(self, reply: Any) -> None:
        time.sleep(max(0.0, self.arrived + self.counting.distance - time.monotonic()))
        self.counting.answered += len(reply.body) if reply else 0
        super().send(reply)


class FarKraken:
    """Calls the methods of a CountingKraken in another process."""

    def __init__(self, latency: float = ROUND_TRIP) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end, latency), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.url, self.api_key, self.secret = self._pipe.recv()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pipe.send(None)
        self._process.join()

    def ask(self, method: str, *arguments: Any) -> Any:
        self._pipe.send((method, arguments))
        return self._pipe.recv()

    def traffic(self) -> Traffic:
        traffic: Traffic = self.ask("traffic")
        return traffic


def _serve(pipe: Any, latency: float) -> None:
    with CountingKraken() as kraken:
        kraken.distance = latency
        kraken.markets.add_many(MARKETS)
        pipe.send(kraken.account_key())
        while (call := pipe.recv()) is not None:
            method, arguments = call
            pipe.send(getattr(kraken, method)(*arguments))
