"""How the fake Kraken misbehaves: faults waiting their turn, and what each of them makes of a true answer."""

import json
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from tests.fake_kraken.wire import JsonObject

# Every kind of fault, and whether the request is processed (an order placed!) unless the test says otherwise.
KINDS = {
    "drop_before": False,  # the connection closes before anything happened
    "drop_after": True,  # processed, then the connection closes without a word
    "reset_before": False,  # the same two with a TCP reset, as a gateway that falls over sends it
    "reset_after": True,
    "hang_before": True,  # nothing for some seconds, then processed: it may be long after the client left
    "hang_after": True,  # processed at once, answered after some seconds
    "status": False,  # an HTTP status with an HTML page
    "empty": False,  # HTTP 200 without a body
    "html": False,  # HTTP 200 with an HTML page
    "truncated": True,  # a whole HTTP message around half of the JSON
    "short_body": True,  # fewer bytes than Content-Length promised, then the connection closes
    "error": False,  # Kraken's `error` list with the given text or texts
    "warning": True,  # a W... text beside the true result
    "shape": False,  # the given JSON instead of the true one
    "no_result": False,  # {"error":[]}
    "null_result": False,  # {"error":[],"result":null}
    "empty_result": False,  # {"error":[],"result":{}}
}
PAGE = "<html><head><title>Kraken</title></head><body><h1>We will be right back</h1></body></html>"


@dataclass
class Fault:
    """One order to misbehave: let `skip` requests pass, then spoil `times` of them."""

    kind: str
    times: int
    skip: int
    processed: bool
    seconds: float
    status: int
    error: str | list[str] | None
    body: Any


@dataclass(frozen=True)
class Reply:
    """What goes onto the wire. A `promised` length above the body's own makes the client wait for the rest; with
    `reset` nothing goes out, and the connection is reset instead of closed; `date` stands in the Date header, `packing`
    in Content-Encoding."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    promised: int | None = None
    reset: bool = False
    date: str | None = None
    packing: str | None = None

    @property
    def length(self) -> int:
        return len(self.body) if self.promised is None else self.promised


RESET = Reply(b"", reset=True)


class FaultQueue:
    """Faults by endpoint name, each queue used up in order; those for `*` wait for whatever comes."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def add(self, endpoint: str, fault: Fault) -> None:
        self._waiting[endpoint].append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, endpoint: str) -> Fault | None:
        return self._take_from(self._waiting[endpoint]) or self._take_from(self._waiting["*"])

    @staticmethod
    def _take_from(queue: deque[Fault]) -> Fault | None:
        if not queue:
            return None
        fault = queue[0]
        if fault.skip > 0:
            fault.skip -= 1
            return None
        fault.times -= 1
        if fault.times <= 0:
            queue.popleft()
        return fault


def as_json(value: object) -> Reply:
    return Reply(json.dumps(value, separators=(",", ":")).encode())


def as_page(fault: Fault, status: int) -> Reply:
    page = fault.body if isinstance(fault.body, str) else PAGE
    return Reply(page.encode(), status=status, content_type="text/html")


def half_of(answer: JsonObject, *, promise_all: bool) -> Reply:
    whole = as_json(answer).body
    return Reply(whole[: len(whole) // 2], promised=len(whole) if promise_all else None)


def texts(fault: Fault, default: str) -> list[str]:
    if fault.error is None:
        return [default]
    return [fault.error] if isinstance(fault.error, str) else fault.error


def bend(fault: Fault | None, answer: JsonObject) -> Reply | None:
    """The reply for a true answer under a fault; None when there is to be no reply at all."""
    match fault.kind if fault else None:
        case "drop_before" | "drop_after":
            return None
        case "reset_before" | "reset_after":
            return RESET
        case None | "hang_before" | "hang_after":
            return as_json(answer)
        case _:
            assert fault
            return spoil(fault, answer)


def spoil(fault: Fault, answer: JsonObject) -> Reply:
    match fault.kind:
        case "status":
            return as_page(fault, fault.status)
        case "html":
            return as_page(fault, 200)
        case "empty":
            return Reply(b"")
        case "truncated":
            return half_of(answer, promise_all=False)
        case "short_body":
            return half_of(answer, promise_all=True)
        case "error":
            return as_json({"error": texts(fault, "EService:Unavailable")})
        case "warning":
            return as_json({**answer, "error": [*answer["error"], *texts(fault, "WGeneral:Odd")]})
        case "shape":
            return as_json(fault.body)
        case "no_result":
            return as_json({"error": []})
        case "null_result":
            return as_json({"error": [], "result": None})
        case "empty_result":
            return as_json({"error": [], "result": {}})
        case unknown:
            raise ValueError(f"no fault is called {unknown}")
