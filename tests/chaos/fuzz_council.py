"""The Council's strangers: a program that decides, agents of anybody's, and what is read as the market's sentiment."""

import json
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from botctl.adapters.clock import SystemClock
from botctl.adapters.fear_greed import CACHE_KEY, FearAndGreed
from botctl.domain.configuration.settings import Mode
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.store.models import KeyValue
from tests.chaos.fuzz_input import check_run
from tests.chaos.invalid_answers import TREE_CHANGES, Twist, byte_twists, garbled, tree_twists
from tests.chaos.invariants import ALWAYS, check
from tests.chaos.properties import Property, bare_stage
from tests.chaos.scenes import Stage, prepare_a_position, prepare_nothing
from tests.chaos.world import World
from tests.fake_kraken.faults import Reply
from tests.shelf import shelf

SITUATIONS = {"with money": prepare_nothing, "with a position": prepare_a_position}

# COUNCIL_COMMAND


@dataclass(frozen=True)
class Program:
    """What it answers, how it ends, and what it does before."""

    situation: str
    answer: bytes
    before: str = ""
    behind: str = ""


TRUE_ANSWERS = st.builds(
    lambda decision, reason: json.dumps({"decision": decision, "reason": reason}).encode(),
    st.sampled_from(("BUY", "SELL", "HOLD", "buy", "HODL", "", " BUY")),
    st.sampled_from(("told so", "", "[/b]", "\ud800", "\x1b[2J", "r" * 100_000, "\u0000")),
)
CHANGES = st.lists(tree_twists() | byte_twists().filter(lambda twist: twist.what not in ("status", "date")), max_size=2)
ANSWERS = st.builds(lambda answer, changes: garbled(Reply(answer), tuple(changes)).body, TRUE_ANSWERS, CHANGES)
PROGRAMS = st.builds(
    Program,
    st.sampled_from(sorted(SITUATIONS)),
    ANSWERS | st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.sampled_from(("", "", "exec 0<&-", "cat >/dev/null", "head -c 3 >/dev/null", "echo noise >&2")),
    st.sampled_from(("", "", "exit 3", "kill -9 $$", "exec 1>&-", "sleep 0.01 &")),
)
DEADLY = frozenset({"exit 3", "kill -9 $$"})


def decision_in(program: Program) -> str | None:
    """What a reader of the documents would take the answer for; None when it is none."""
    if program.behind in DEADLY or len(program.answer) > 65_536:
        return None
    try:
        answer = json.loads(program.answer.decode())
    except (ValueError, RecursionError):
        return None
    said = answer.get("decision") if isinstance(answer, dict) else None
    decision = said.strip().upper() if isinstance(said, str) else None
    if decision not in ("BUY", "SELL", "HOLD") or not isinstance(answer.get("reason"), str):
        return None
    return decision


def a_program_decides_or_holds(stage: Stage, program: Program) -> None:
    """An order only from an answer that says so; anything else is HOLD, and an error that is said."""
    world = stage.after(SITUATIONS[program.situation])
    try:
        (world.home / "answer").write_bytes(program.answer)
        (world.home / "council.sh").write_text(f"{program.before}\ncat answer\n{program.behind}\n")
        world.settings["COUNCIL_COMMAND"] = "/bin/sh council.sh"
        decision = decision_in(program)
        orders = sides_after_a_tick(world, expected=0 if decision else 1)
        wanted = {("BUY", "with money"): ["buy"], ("SELL", "with a position"): ["sell"]}
        assert orders == wanted.get((str(decision), program.situation), [])
    finally:
        world.close()


def sides_after_a_tick(world: World, expected: int | None) -> list[str]:
    """The orders of one tick, which must end well."""
    world.kraken.clear_requests()
    run = world.run("tick", "--json")
    check_run(run, as_json=True)
    assert expected is None or run.exit_code == expected, run.words[:3000]
    check_run(world.run("why", "BTC/USD"), as_json=False)
    check_run(world.run("why", "BTC/USD", "--json"), as_json=True)
    check(world, ALWAYS)
    return [request.params["type"] for request in world.kraken.requests if request.endpoint == "AddOrder"]


# Agents


BODIES = (
    "raise ValueError('no')",
    "raise ValueError('\\ud800 \\x1b[2J')",
    "raise ValueError('x' * 10**6)",
    "raise SystemExit",
    "raise SystemExit(0)",
    "raise SystemExit(3)",
    "raise SystemExit('no')",
    "raise GeneratorExit",
    "raise StopIteration",
    "raise MemoryError",
    "raise BaseExceptionGroup('several', [KeyError('a')])",
    "import asyncio; raise asyncio.CancelledError",
    "raise type('Mute', (BaseException,), {'__str__': lambda self: 1 / 0})",
    "return self.judge(briefing)",
    "import nothing_of_this_name",
    "print('noise'); raise KeyError(None)",
    "print('{}'); return Verdict('stranger', Stance.NEUTRAL, '')",
    "return None",
    "return 'FEAR'",
    "return Verdict",
    "return Verdict('stranger', 'BUY', '')",
    "return Verdict('stranger', None, '')",
    "return Verdict('stranger', [Stance.FEAR], '')",
    "return Verdict('stranger', {'FEAR'}, '')",
    "return Verdict('stranger', float('nan'), '')",
    "return Verdict(None, Stance.GREED, None)",
    "return Verdict('stranger', Stance.NEUTRAL, object())",
    "return Verdict('stranger', Stance.GREED, '\\ud800[/b]\\x00')",
    "return Verdict('\\udfff', Stance.GREED, 'r' * 10**6)",
    "briefing.candles.clear(); return Verdict('stranger', Stance.UNKNOWN, '')",
    "briefing.symbol = 'ETH/USD'",
    "import logging; logging.getLogger('botctl').error('\\ud800'); return Verdict('stranger', Stance.GREED, '')",
)
WELL_FORMED = (
    "return Verdict('stranger', Stance.FEAR, 'well')",
    "return Verdict('stranger', 'FEAR', 'well')",
    "print('noise'); return Verdict('\\ud800', Stance.FEAR, '\\ud800')",
)
PLACES = ("judge", "__init__", "module")


@dataclass(frozen=True)
class Stranger:
    """An agent's code, and where in its module it stands."""

    body: str
    place: str


STRANGERS = st.builds(Stranger, st.sampled_from((*BODIES, *WELL_FORMED)), st.just("judge")) | st.builds(
    Stranger, st.sampled_from([body for body in BODIES if body.startswith("raise")]), st.sampled_from(PLACES)
)


def an_agent_is_used_or_unknown(stage: Stage, stranger: Stranger) -> None:
    """Beside a member that says BULLISH only a well-formed FEAR buys; whatever else a stranger does is no order."""
    world = stage.after(prepare_nothing)
    try:
        folder = world.home / "agents"
        folder.mkdir()
        install(folder, "stranger", stranger)
        install(folder, "bull", Stranger("return Verdict('bull', Stance.BULLISH, 'as ever')", "judge"))
        world.settings |= {"PYTHONPATH": str(folder), "COUNCIL": "stranger,bull", "LOG_FILE": "log"}
        orders = sides_after_a_tick(world, expected=None)
        assert orders == (["buy"] if stranger.body in WELL_FORMED else [])
    finally:
        world.close()


def install(folder: Path, name: str, stranger: Stranger) -> None:
    """A distribution with one agent, as pip would leave it."""
    lines = ["from botctl.domain.decisions import Stance, Verdict"]
    lines += [stranger.body] if stranger.place == "module" else []
    lines += ["class Agent:", "    def __init__(self):"]
    lines += [f"        {stranger.body}" if stranger.place == "__init__" else "        pass"]
    lines += ["    def judge(self, briefing):"]
    lines += [f"        {stranger.body}" if stranger.place == "judge" else "        pass"]
    (folder / f"agent_of_{name}.py").write_text("\n".join(lines))
    info = folder / f"agent_of_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: agent_of_{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[botctl.agents]\n{name} = agent_of_{name}:Agent\n")


# The sentiment


class RawServer:
    """Answers every connection with the same bytes, whatever they are, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/fng/"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def index_server(_stage: Stage) -> Iterator[RawServer]:
    """A server that answers as the index does, and a database for the cache."""
    folder = Path(tempfile.mkdtemp(prefix="botctl-index-", dir=shelf()))
    server = RawServer()
    logging.disable()
    try:
        open_database(SqliteFile(folder / "live.db"), Mode.LIVE, create=True)
        yield server
    finally:
        logging.disable(logging.NOTSET)
        close_database()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP, or over something like it. `{now}` in it becomes the moment it is given."""

    head: bytes
    changes: tuple[Twist, ...]


HEADS = st.sampled_from(
    (
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nan\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /fng/\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: ftp://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"",
    )
)
GOOD_HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
INDEX_ANSWERS = st.builds(
    Answer,
    HEADS | st.just(GOOD_HEAD) | st.just(GOOD_HEAD),
    st.lists(tree_twists() | byte_twists().filter(lambda twist: twist.what not in ("status", "date")), max_size=2).map(
        tuple
    ),
)


def an_index_is_used_or_unknown(server: RawServer, answer: Answer) -> None:
    """An index from 0 to 100 of these days, or none with its reason; at once, and never an exception."""
    newest = {"value": "30", "value_classification": "Fear", "timestamp": str(int(time.time()))}
    true = {"name": "Fear and Greed Index", "data": [newest], "metadata": {"error": None}}
    server.answer = answer.head + garbled(Reply(json.dumps(true).encode()), answer.changes).body
    KeyValue.delete().where(KeyValue.key == CACHE_KEY).execute()
    started = time.monotonic()

    reading = FearAndGreed(server.url, SystemClock()).read()

    assert time.monotonic() - started < 12
    assert reading.why
    if not answer.changes and answer.head == GOOD_HEAD:
        assert reading.index == 30
    touched = any(
        twist.what in TREE_CHANGES or twist.what in ("insert", "instead", "digits") for twist in answer.changes
    )
    assert reading.index in ({None, 30} if not touched else {None, *range(101)})


COUNCIL: tuple[Property, ...] = (
    Property("a program's answer", PROGRAMS, bare_stage, a_program_decides_or_holds, 50),
    Property("an agent", STRANGERS, bare_stage, an_agent_is_used_or_unknown, 40),
    Property("the sentiment", INDEX_ANSWERS, index_server, an_index_is_used_or_unknown, 300),
)
