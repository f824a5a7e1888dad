"""`botctl serve` against other web sites, floods, strange requests, and a database that breaks while it serves."""

import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from botctl.cli.serve.connections import Connections
from botctl.cli.serve.documents import Documents
from botctl.config import load_config
from tests.bot_runner import BotRunner
from tests.cli.test_serve import ask, send, serving

ROOM = 8


@pytest.fixture
def port(veteran: BotRunner) -> Iterator[int]:
    with serving() as number:
        yield number


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Connections of somebody, more than there is room for."""
    with ExitStack() as opened:
        yield [opened.enter_context(socket.socket()) for _ in range(4 * ROOM)]


@pytest.mark.parametrize("attacker", ["10.0.0.66", "10.0.0.1"])
@pytest.mark.parametrize("asks", [True, False])
def test_a_flood_of_one_kind_leaves_room_for_the_other(
    sockets: list[socket.socket], attacker: str, *, asks: bool
) -> None:
    """Those that never read their answer don't push out somebody who is about to ask, nor the other way round."""
    connections = Connections(ROOM)
    mine, *flood = sockets
    for number, each in enumerate(flood):
        if number == ROOM:
            connections.admit(mine, "10.0.0.1")
            if not asks:
                connections.mark_asked(mine)
        connections.admit(each, attacker)
        if asks:
            connections.mark_asked(each)

    assert connections.is_open(mine)
    assert sum(map(connections.is_open, flood)) == ROOM - 1


def test_who_opens_many_connections_loses_their_own(sockets: list[socket.socket]) -> None:
    connections = Connections(ROOM)
    mine, *flood = sockets
    connections.admit(mine, "10.0.0.1")
    for each in flood:
        connections.admit(each, "10.0.0.66")

    assert connections.is_open(mine)


def test_what_nobody_waits_for_any_more_is_not_read(veteran: BotRunner) -> None:
    with pytest.raises(ConnectionAbortedError):
        Documents(load_config()).read("/api/log.json", {}, lambda: False)


def test_a_flood_of_requests_leaves_neither_threads_nor_memory(port: int) -> None:
    before = threading.active_count()
    for number in range(300):
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            connection.sendall(b"GET /api/log.json?limit=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (number + 1))
    assert ask(port, "/metrics")[0] == 200
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(60)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),  # an image of another site
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),  # another port of this machine
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[", "Host": "localhost"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),  # a link
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "no-cors"}, 200),
        ({"Origin": "http://localhost:9", "Host": "localhost:9"}, 200),
    ],
)
def test_no_other_web_site_reads_by_way_of_a_browser(port: int, headers: dict[str, str], status: int) -> None:
    assert ask(port, "/metrics", **headers)[0] == status


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET //metrics HTTP/1.1", b"404"),
        (b"GET //localhost/metrics HTTP/1.1", b"404"),
        (b"GET ///metrics HTTP/1.1", b"404"),
        (b"GET /api/%2e%2e/metrics HTTP/1.1", b"404"),
        (b"GET /%6detrics HTTP/1.1", b"404"),
        (b"GET /metrics\0 HTTP/1.1", b"404"),
        (b"GET /metrics;x HTTP/1.1", b"404"),
        (b"GET /metrics", b"400"),
        (b"GET * HTTP/1.1", b"400"),
        (b"PRI * HTTP/2.0", b"505"),
        (b"GET /metrics?" + 20 * b"a=1&" + b" HTTP/1.1", b"400"),
        (b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked", b"405"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost:80", b"400"),
        (b"GET /metrics HTTP/1.1" + 150 * b"\r\nA: 1", b"431"),
    ],
)
def test_a_strange_request_gets_a_short_answer(port: int, request_line: bytes, status: bytes) -> None:
    assert send(port, request_line + b"\r\nHost: localhost\r\n\r\n").split()[1] == status


def test_gzip_is_for_those_who_take_it(port: int) -> None:
    for accepted, packed in (("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0, identity", False), ("xgzip", False)):
        assert ("Content-Encoding" in ask(port, "/metrics", Accept_Encoding=accepted)[2]) is packed, accepted


def test_a_database_that_breaks_or_goes_is_said_and_one_that_comes_back_is_served(
    veteran: BotRunner, port: int
) -> None:
    if veteran.server:
        pytest.skip("these are files")
    file, kept = veteran.database, veteran.home / "kept"
    shutil.copy(file, kept)
    answers: list[tuple[str, int, bool]] = []
    for harm in ("damaged", "newer", "gone", "back"):
        for each in file.parent.glob("demo.db*"):
            each.unlink()
        if harm == "damaged":
            file.write_bytes(kept.read_bytes()[:100] + 9_000 * b"\xff")
        elif harm != "gone":
            shutil.copy(kept, file)
        if harm == "newer":
            with sqlite3.connect(file) as connection:
                connection.execute("UPDATE stamp SET schema_version = 9999")
        status, body, _ = ask(port, f"/api/log.json?limit={len(answers) + 1}")
        answers.append((harm, status, "update botctl" in body.decode()))
    assert answers == [("damaged", 503, False), ("newer", 503, True), ("gone", 503, False), ("back", 200, False)]
