"""`botctl serve`: what it serves, to whom, and that nobody can keep others waiting or change anything."""

import gzip
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from botctl.cli.serve.access import Access, is_loopback, names_loopback
from botctl.cli.serve.documents import Documents
from botctl.cli.serve.server import MAX_CONNECTIONS, Server
from botctl.config import load_config
from tests.bot_runner import BotRunner, without_version
from tests.cli.assertions import check_error, files_in
from tests.cli.pages import read_page

TOKEN = "a-token-of-a-good-length"
COMMANDS = {
    "/api/positions.json": ("positions",),
    "/api/trades.json": ("trades",),
    "/api/trades.json?limit=2": ("trades", "--limit", "2"),
    "/api/orders.json": ("orders",),
    "/api/log.json?limit=50": ("log",),
    "/api/decisions.json?symbol=BTC%2FUSD&limit=5": ("why", "BTC/USD"),
    "/api/resting-stops.json": ("resting-stops",),
}


@contextmanager
def serving(token: str | None = None, **seconds: float) -> Iterator[int]:
    """The port of a server in this process."""
    with Server("127.0.0.1", 0, Documents(load_config()), Access(token), **seconds) as one:
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        yield one.server_port
        one.shutdown()


@pytest.fixture
def port(veteran: BotRunner) -> Iterator[int]:
    """The port that serves a demo home with a past to this machine."""
    with serving() as number:
        yield number


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def send(port: int, request: bytes) -> bytes:
    """The first line of the answer to what is no request of http.client's."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline()


def was_closed(connection: socket.socket) -> bool:
    """Whether the server has ended a connection that never asked for anything."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_the_documents_are_those_of_the_commands(veteran: BotRunner, port: int) -> None:
    for path, command in COMMANDS.items():
        status, body, headers = ask(port, path)

        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
        assert without_version(json.loads(body)) == veteran.json(*command), path
    status_now, told = without_version(json.loads(ask(port, "/api/status.json")[1])), veteran.json("status")
    assert {**status_now, "at": None} == {**told, "at": None}


def test_the_page_is_built_when_it_is_asked_for_and_needs_only_its_own_script(
    veteran: BotRunner, port: int, tmp_path: Path
) -> None:
    status, body, headers = ask(port, "/", Accept_Encoding="gzip")
    (tmp_path / "page.html").write_bytes(gzip.decompress(body))

    page = read_page(tmp_path / "page.html")
    assert status == 200
    assert [row["id"] for row in page.tables["Trades"]] == [
        str(each["id"]) for each in reversed(veteran.json("trades", "--limit", "1000"))
    ]
    [script] = [one for one in page.references if not one.startswith("#")]
    assert headers["Content-Security-Policy"] == f"{page.policy}; frame-ancestors 'none'"
    assert "file:" not in page.policy
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
        ("Cache-Control", "no-store"),
    ):
        assert headers[name] == value
    status, content, headers = ask(port, f"/{script}")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert b"Plotly" in content


def test_the_metrics_are_those_of_the_file(veteran: BotRunner, port: int) -> None:
    veteran.set(METRICS_FILE="botctl.prom")
    veteran.run("tick")

    def values(text: str) -> dict[str, float]:
        return {each.name: each.samples[0].value for each in text_string_to_metric_families(text)}

    written = values((veteran.home / "botctl.prom").read_text())
    served = values(ask(port, "/metrics")[1].decode())
    by_the_run = {"botctl_last_tick_requests", "botctl_last_tick_duration_seconds"}
    market_time = {"botctl_last_tick_timestamp_seconds", "botctl_last_success_timestamp_seconds"}  # of the demo
    assert set(written) - set(served) == {"botctl_last_tick_requests"}
    assert {name: value for name, value in served.items() if name not in by_the_run | market_time} == {
        name: value for name, value in written.items() if name not in by_the_run | market_time
    }


def test_it_only_reads_and_only_what_is_its_own(veteran: BotRunner, port: int) -> None:
    before = {name: content for name, content in files_in(veteran.home).items() if not name.endswith(("-shm", "-wal"))}
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"):
        status, _, headers = ask(port, "/", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
    for path in ("/api", "/api/", "/../.env", "/%2e%2e/.env", "/.env", "/data/demo.db", "/favicon.ico", "/report.js"):
        assert ask(port, path)[0] == 404, path
    for path in (
        "/?x=1",
        "/api/trades.json?limit=0",
        "/api/trades.json?limit=999999",
        "/api/decisions.json?symbol=a/b/c",
    ):
        assert ask(port, path)[0] == 400, path
    status, body, headers = ask(port, "/api/trades.json", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 100
    after = {name: content for name, content in files_in(veteran.home).items() if not name.endswith(("-shm", "-wal"))}
    assert after == before


def test_a_name_that_leads_here_by_rebinding_is_refused(port: int) -> None:
    for host in ("localhost", "localhost:9", "127.0.0.1", f"127.0.0.1:{port}", "[::1]:80"):
        assert ask(port, "/metrics", Host=host)[0] == 200, host
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.1.20", ""):
        assert ask(port, "/metrics", Host=host)[0] == 403, host
    assert send(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n").split()[1] == b"400"
    assert send(port, b"GET /metrics HTTP/1.0\r\n\r\n").split()[1] == b"400"


def test_with_a_token_everybody_has_to_tell_it(veteran: BotRunner) -> None:
    with serving(TOKEN) as port:
        for headers in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": TOKEN},
            {"Cookie": f"botctl-{port}={TOKEN}"},
        ):
            status, body, told = ask(port, "/api/status.json", **headers)
            assert (status, told["WWW-Authenticate"]) == (401, "Bearer"), headers
            assert TOKEN not in body.decode()
        assert ask(port, "/api/status.json?token=wrong")[0] == 401
        assert ask(port, "/nowhere")[0] == 401  # nobody learns what there is
        assert ask(port, "/api/status.json", Authorization=f"Bearer {TOKEN}", Host="my.house.example")[0] == 200

        status, body, told = ask(port, f"/?token={TOKEN}")
        cookie = told["Set-Cookie"]
        assert status == 200
        assert TOKEN not in body.decode() + cookie
        assert cookie.endswith("; HttpOnly; SameSite=Strict; Path=/")
        others = 'theme={"dark": [1]}; botctl-1=x; '  # of other programs at this address
        assert ask(port, "/metrics", Cookie=others + cookie.partition(";")[0])[0] == 200


def test_slow_and_hostile_clients_keep_nobody_waiting(veteran: BotRunner) -> None:
    # Half a request, nothing at all, or a request whose answer is never read.
    halves = (b"GET / HTTP/1.1\r\nHost: loc", b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with ExitStack() as opened:
        port = opened.enter_context(serving(head_seconds=600.0, send_seconds=600.0))  # far longer than `ask` waits
        hostile = []
        for number in range(2 * MAX_CONNECTIONS):
            source = ("127.0.0.1", "127.0.0.2")[number % 2], 0
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), 60, source))
            connection.sendall(halves[number % 3])
            hostile.append(connection)
        assert ask(port, "/api/status.json")[0] == 200
        closed = [was_closed(connection) for number, connection in enumerate(hostile) if number % 3 != 2]
        assert sum(closed) >= len(closed) - MAX_CONNECTIONS
        assert veteran.run("tick").exit_code == 0
        assert send(port, b"GET / HTTP/1.1\r\n" + 1000 * b"X: 0123456789012345\r\n").split()[1] == b"431"
        assert send(port, b"GET /" + 20_000 * b"x" + b" HTTP/1.1\r\n\r\n").split()[1] == b"431"
        for nonsense in (
            b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\n\n",
            b"GET http://a/ HTTP/1.1\r\n\r\n",
            b"GET / HTTP/x\r\n\r\n",
        ):
            assert send(port, nonsense).split()[1] == b"400", nonsense


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bind", "0.0.0.0"), "--bind 0.0.0.0 needs a token"),
        (("--bind", "my.house"), "--bind 'my.house' is not an address"),
        (("--bind", "0.0.0.0", "--token", "short"), "--token must be 16 to 200"),
        (("--token", ""), "--token must be 16 to 200"),  # a variable of the shell that is not set
    ],
)
def test_what_would_open_it_to_everybody_is_refused(veteran: BotRunner, arguments: tuple[str, ...], words: str) -> None:
    check_error(veteran.run("serve", *arguments), 2, words)


def test_it_says_where_it_is_and_sigterm_ends_it_at_once(veteran: BotRunner) -> None:
    process = veteran.spawn("serve", "--port", "0")
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    port = int(address.rpartition(":")[2].rstrip("/"))
    assert ask(port, "/metrics")[0] == 200
    with socket.create_connection(("127.0.0.1", port)):  # somebody who sends nothing
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - began < 3
    assert address == f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(address: str, local: bool) -> None:
    assert is_loopback(address) is local
    named: Any = {"": None}.get(address, f"[{address}]:80" if ":" in address else f"{address}:80")
    assert names_loopback(named) is local
