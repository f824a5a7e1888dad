"""Steps for scenarios of the order journal: lost answers, killed runs, and time that has passed."""

import os
import signal
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from botctl._fast_imports import import_kraken_alone
from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken, Order, Request

DEADLINE_AFTER, ABSENT_AFTER = 30, 90
"""Seconds from intent to deadline, and from there until an order that is not found counts as never placed."""


def open_position(live: BotRunner, amount: str = "100") -> dict[str, Any]:
    """Buy at 50000 with its stop at 49000, and return the trade."""
    run = live.run("buy", "BTC/USD", amount, "--yes")
    assert run.exit_code == 0, run.stderr
    [trade] = live.positions()
    return trade


def sent(kraken: FakeKraken, side: str | None = None) -> list[Request]:
    """Every AddOrder request that reached Kraken, processed or not."""
    arrived = [request for request in list(kraken.requests) if request.endpoint == "AddOrder"]
    return [request for request in arrived if side in (None, request.params["type"])]


def client_ids(requests: list[Request]) -> set[str]:
    return {request.params["cl_ord_id"] for request in requests}


def private_calls(kraken: FakeKraken) -> list[str]:
    return [request.endpoint for request in kraken.requests if "nonce" in request.params]


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    [row] = rows
    return row


def lose_the_next_order(kraken: FakeKraken, kind: str = "drop_before", **options: Any) -> None:
    """The next AddOrder fails unprocessed. A lock-out ends the look-up, so that the run does not wait 20 seconds."""
    kraken.fault("AddOrder", kind, processed=False, **options)
    kraken.fault("OpenOrders", "error", error="EGeneral:Temporary lockout")


def run_until(live: BotRunner, kraken: FakeKraken, endpoint: str, moment: str, *arguments: str) -> Run:
    """Kill a run at a request: when it arrives ("before"), when it is processed ("after"), or so that it never arrives
    ("lost")."""
    started, killed = threading.Event(), list[Request]()

    def kill(request: Request) -> None:
        if request.endpoint == endpoint and not killed and started.wait(30):
            killed.append(request)
            os.kill(process.pid, signal.SIGKILL)

    if moment == "lost":
        kraken.fault(endpoint, "drop_before")
    hook: Callable[[Request], object] = kill
    setattr(kraken, "after" if moment == "after" else "before", hook)
    process = live.fork(*arguments)
    started.set()  # its first request may be here before we know its process id
    code, out, err = process.wait()
    kraken.before = kraken.after = None
    assert code == -signal.SIGKILL, err
    wait_for(lambda: moment == "lost" or any(r.endpoint == endpoint and r.processed for r in kraken.requests))
    return Run(code, out, err)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait up to 30 seconds: Kraken may still process a request whose sender is dead."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.01)


def place_by_hand(kraken: FakeKraken, side: str, amount: Decimal, price: int) -> Order:
    """A limit order of the user's own, through the same API key."""
    client = import_kraken_alone()(
        {
            "apiKey": kraken.api_key,
            "secret": kraken.secret,
            "urls": {"api": {"public": kraken.url, "private": kraken.url}},
            "enableRateLimit": False,
        }
    )
    client.create_order("BTC/USD", "limit", side, f"{amount:f}", price)
    return kraken.orders[-1]
