"""Secrets and the outside: what other programs see of botctl, and what other servers can do to it."""

import contextlib
import gzip
import json
import os
import resource
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.configuration.settings import Secret
from botctl.http_answers import MAX_BYTES, AnswerTooLong, unpack
from botctl.monitoring.alerts import Level
from botctl.monitoring.sender import OutgoingMessage, send_messages
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.faults import Reply
from tests.listener import Listener
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of

ALLOWED = {"PATH", "HOME", "LANG", "TZ", "LC_CTYPE"}
"""LC_CTYPE: Python itself sets it in a program that is started without a LANG."""


def keep_environment(live: BotRunner) -> str:
    return f"open({str(live.home / 'seen.json')!r}, 'w').write(json.dumps(dict(os.environ)))"


def seen(live: BotRunner) -> dict[str, str]:
    """The environment of the Council's program."""
    kept: dict[str, str] = json.loads((live.home / "seen.json").read_text())
    return kept


def words(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


# What programs see


def test_the_program_of_the_council_sees_an_allow_list_and_what_is_named(
    live: BotRunner, kraken: FakeKraken, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TZ", "STRANGER", "PGPASSWORD", "MODEL_URL"):
        monkeypatch.setenv(name, f"{name} of the shell")
    (live.home / ".env").write_text("MODEL_KEY=from-the-file\nMODEL_URL=of-the-file\n")
    (live.home / ".env").chmod(0o600)
    live.set(COUNCIL_ENV="MODEL_KEY, MODEL_URL,MODEL_NAME")
    council_says(live, "HOLD", keep_environment(live))

    run = live.run("tick")

    environment = seen(live)
    assert run.exit_code == 0, output_of(run)
    assert set(environment) <= ALLOWED | {"MODEL_KEY", "MODEL_URL"}
    assert (environment["MODEL_KEY"], environment["MODEL_URL"]) == ("from-the-file", "MODEL_URL of the shell")
    assert (environment["TZ"], environment["PATH"]) == ("TZ of the shell", os.environ["PATH"])
    assert "COUNCIL_ENV names MODEL_NAME, which is set neither in the environment nor in .env" in run.stderr


def test_a_variable_that_holds_a_secret_is_passed_on_under_no_name(
    live: BotRunner, kraken: FakeKraken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPY", f"key={kraken.secret}")
    live.set(COUNCIL_ENV="COPY")
    council_says(live, "HOLD", keep_environment(live))

    run = live.run("tick")

    assert kraken.secret not in json.dumps(seen(live))
    assert "COUNCIL_ENV names COPY, which holds a secret of botctl" in run.stderr


@pytest.mark.parametrize("name", ["KRAKEN_PRIVATE_KEY", "DATABASE_URL", "NOTIFY_URLS", "PGPASSWORD"])
def test_a_secret_is_not_to_be_named(live: BotRunner, name: str) -> None:
    live.set(COUNCIL_ENV=f"PATH,{name}")

    checked = live.run("config", "check")

    assert checked.exit_code == 78
    assert f"must not name {name}" in " ".join(checked.stdout.split())


def test_a_process_of_botctl_and_its_programs_dump_no_core(
    bot: BotRunner, kraken: FakeKraken, monkeypatch: pytest.MonkeyPatch
) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("core dumps are forbidden on this machine")
    limit = bot.home / "limit"
    bot.set(COUNCIL_COMMAND=f"sh -c 'ulimit -S -c > {limit}; ulimit -H -c >> {limit}'", SYMBOLS="BTC/USD")

    bot.fork_to_its_end("tick")

    assert limit.read_text() == "0\n0\n"


# What servers can send


def packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)


def long(body: bytes) -> bytes:
    """The same JSON, with more blanks behind it than an answer may have."""
    return body + b" " * MAX_BYTES


ANSWERS: dict[str, Callable[[Reply], Reply]] = {
    "a bomb": lambda reply: replace(reply, body=packed(long(reply.body)), packing="gzip"),
    "packed in a way that nobody asked for": lambda reply: replace(reply, packing="br"),
    "damaged": lambda reply: replace(reply, body=packed(reply.body)[:-20] + b"x" * 20, packing="gzip"),
    "a figure twice": lambda reply: replace(reply, body=reply.body.replace(b'"c":[', b'"c":["1","1"],"c":[')),
    "a long answer": lambda reply: replace(reply, body=long(reply.body)),
    "a bomb in a bomb": lambda reply: replace(reply, body=packed(packed(long(reply.body))), packing="gzip, gzip"),
    "a key twice": lambda reply: replace(reply, body=reply.body[:-1] + b',"error":[]}'),
}


@parametrize("spoil", ANSWERS.values(), quick=1, ids=ANSWERS)
def test_such_a_price_is_none(
    live: BotRunner, kraken: FakeKraken, bent_time: None, spoil: Callable[[Reply], Reply]
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48000)
    kraken.alter_reply = lambda request, reply: spoil(reply) if request.endpoint == "Ticker" else reply

    blind = live.run("check-positions")
    kraken.alter_reply = None
    live.run("check-positions")

    assert blind.exit_code == 69, output_of(blind)
    assert sides(kraken) == ["buy", "sell"]
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_an_order_whose_answer_is_too_long_is_looked_up(live: BotRunner, kraken: FakeKraken, bent_time: None) -> None:
    spoil = ANSWERS["a bomb"]
    kraken.alter_reply = lambda request, reply: spoil(reply) if request.endpoint == "AddOrder" else reply
    live.run("buy", "BTC/USD", "100", "--yes")
    kraken.alter_reply = None

    live.run("tick")

    assert sides(kraken) == ["buy"]
    assert trade_of(live)["status"] == "OPEN"


@pytest.mark.parametrize(
    ("body", "packing"),
    [
        (b"true", ""),
        (gzip.compress(b"true", mtime=0), "gzip"),
        (gzip.compress(b"tr", mtime=0) + gzip.compress(b"ue", mtime=0), "GZIP"),
        (zlib.compress(b"true"), "deflate"),
        (zlib.compress(b"true")[2:-4], "deflate"),
    ],
)
def test_an_answer_of_usual_length_is_unpacked(body: bytes, packing: str) -> None:
    assert unpack([body[:3], body[3:]], packing) == b"true"


def test_a_bomb_is_left_as_soon_as_it_is_too_long() -> None:
    def endless() -> Any:
        packer = zlib.compressobj(wbits=31)
        while True:
            yield packer.compress(b" " * 2**20)

    with pytest.raises(AnswerTooLong):
        unpack(endless(), "gzip")


@pytest.mark.long
def test_the_service_that_is_notified_can_not_fill_the_memory(listener: Listener) -> None:
    listener.answer, listener.packing = packed(long(b"OK")), "gzip"

    failures = send_messages([OutgoingMessage(Secret(f"json://{listener.address}/x"), "t", "b", Level.ALERT)])

    assert len(listener.received) == 1
    assert "failed (AnswerTooLong)" in failures[0]


def test_a_program_that_says_two_things_says_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COUNCIL_COMMAND='echo \'{"decision": "HOLD", "decision": "BUY", "reason": ""}\'')

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert "the key 'decision' twice" in run.stderr
    assert sides(kraken) == []


# The proxy


class Proxy:
    """An HTTP proxy that keeps the head of each request and refuses it."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://me:p%40ss@127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self.heads.append(connection.recv(65_536).decode())
                    connection.sendall(b"HTTP/1.1 403 Not \x1b[31mhere\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = Proxy()
    yield server
    server.close()


@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_kraken_is_reached_through_the_proxy_that_is_set(
    live: BotRunner, proxy: Proxy, bent_time: None, place: str
) -> None:
    buy(live)
    live.set(KRAKEN_API_URL="https://127.0.0.1:4430")
    if place == ".env":
        (live.home / ".env").write_text(f"HTTPS_PROXY={proxy.url}\n")
        (live.home / ".env").chmod(0o600)
    else:
        live.set(HTTPS_PROXY=proxy.url)

    checked, run = live.run("doctor"), live.run("check-positions")

    assert proxy.heads[0].startswith("CONNECT 127.0.0.1:4430 HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.heads[0]
    assert f"Kraken is reached through HTTPS_PROXY={proxy.url.replace('p%40ss', '***')}" in words(checked.stdout)
    assert run.exit_code == 69
    assert "the proxy refused: 403 Not \\x1b[31mhere" in run.stderr
    assert "p%40ss" not in output_of(checked) + output_of(run)


def test_a_proxy_of_https_is_not_asked_for_this_machine(live: BotRunner, kraken: FakeKraken, proxy: Proxy) -> None:
    live.set(HTTPS_PROXY=proxy.url)

    checked = live.run("doctor")

    assert "is reached without HTTPS_PROXY" in words(checked.stdout)
    assert (proxy.heads, live.run("balance").exit_code) == ([], 0)


def test_a_wrong_proxy_stops_no_exit(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48000)
    live.set(HTTPS_PROXY="socks5://127.0.0.1:1")

    run = live.run("tick")

    assert (run.exit_code, sides(kraken)) == (78, ["buy", "sell"])


# Links


@pytest.fixture(params=[0o1777, 0o770], ids=["sticky", "for a group"])
def shared(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder that others can write."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(request.param)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the owner, which another would have overwritten."""
    file = tmp_path / "victim"
    file.write_text("mine")
    return file


def link_at_the_end(shared: Path, victim: Path) -> Path:
    (shared / "bot.log").symlink_to(victim)
    return shared / "bot.log"


def link_to_nothing(shared: Path, victim: Path) -> Path:
    (shared / "bot.log").symlink_to(victim.with_name("new"))
    return shared / "bot.log"


def link_on_the_way(shared: Path, victim: Path) -> Path:
    (shared / "logs").symlink_to(victim.parent)
    return shared / "logs" / "victim"


def another_name_of_it(shared: Path, victim: Path) -> Path:
    (shared / "bot.log").hardlink_to(victim)
    return shared / "bot.log"


def pipe(shared: Path, victim: Path) -> Path:
    os.mkfifo(shared / "bot.log")
    return shared / "bot.log"


@parametrize("trap", [link_at_the_end, another_name_of_it, link_to_nothing, link_on_the_way, pipe], quick=1)
def test_no_log_is_written_where_another_leads_it_and_the_stop_is_sold(
    live: BotRunner, kraken: FakeKraken, shared: Path, victim: Path, trap: Callable[[Path, Path], Path]
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48000)
    live.set(LOG_FILE=str(trap(shared, victim)))

    run = live.run("tick")

    assert (run.exit_code, sides(kraken)) == (78, ["buy", "sell"]), output_of(run)
    assert "can't write LOG_FILE" in run.stderr
    assert (victim.read_text(), victim.with_name("new").exists()) == ("mine", False)


def test_the_check_of_the_settings_names_such_a_link(bot: BotRunner, shared: Path, victim: Path) -> None:
    bot.set(LOG_FILE=str(link_at_the_end(shared, victim)))

    run = bot.run("config", "check")

    assert run.exit_code == 78
    assert "is a symbolic link in a folder that others can write" in words(run.stdout)


def test_a_link_in_a_folder_of_ones_own_and_a_file_among_others_are_fine(
    bot: BotRunner, shared: Path, victim: Path
) -> None:
    (bot.home / "bot.log").symlink_to(victim)
    bot.set(LOG_FILE="bot.log")
    linked = bot.run("tick")
    bot.set(LOG_FILE=str(shared / "bot.log"))
    plain = bot.run("tick")

    assert (linked.exit_code, plain.exit_code) == (0, 0), output_of(linked) + output_of(plain)
    assert victim.read_text() != "mine"
    assert "council: BTC/USD" in (shared / "bot.log").read_text()


@pytest.mark.sqlite
def test_no_copy_of_the_database_goes_where_another_leads_it(bot: BotRunner, shared: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bot.set(DATABASE_URL=f"sqlite:///{shared}/demo.db")
    (shared / "backups").symlink_to(elsewhere)

    tick, by_hand = bot.run("tick"), bot.run("db", "backup", str(shared / "backups" / "mine.db"))

    assert list(elsewhere.iterdir()) == []
    assert by_hand.exit_code == 1
    for run in (tick, by_hand):
        assert "is a symbolic link in a folder that others can write" in run.stderr
