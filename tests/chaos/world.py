"""A world for one trial: a home, a Kraken, a time of its own, and everybody who acts in it."""

import copy
import json
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from botctl.domain.configuration.database_url import ServerUrl
from botctl.domain.configuration.settings import Mode
from botctl.store.database import close_database, open_database
from botctl.store.location import DatabaseLocation, PostgresServer, SqliteFile
from botctl.store.server.postgres import RUN_LOCK
from tests.chaos.clock import WorldClock
from tests.chaos.history import History
from tests.chaos.processes import Command, End, Process, Processes, Run
from tests.fake_kraken import FakeKraken, Order, Refusal
from tests.fake_kraken.markets import asset_named
from tests.fake_kraken.server import KrakenSnapshot
from tests.known_key import know_the_key
from tests.postgres import Server
from tests.shelf import shelf

EPOCH = datetime(2026, 11, 2, 12, 0, 10, tzinfo=UTC).timestamp()
"""When every world begins: ten seconds past a quarter of an hour, so that each replay meets the same candles."""
QUARTER = 900.0
CALM_WAIT_SECONDS = 10.0
"""Real seconds that a run waits for an answer where nothing hangs on purpose: a busy machine is no fault."""
OPENING_CASH = Decimal(10000)

HOLDERS = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {RUN_LOCK}::bigint::oid"
"""The sessions that hold the lock of a run."""


def wait_until(come: Callable[[], object], seconds: float = 20) -> None:
    """Until `come()` says yes; a trial that waits for longer is wrong."""
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


@dataclass
class ExternalActions:
    """What was done in a world by others than botctl: the invariants must tell it from botctl's own doings."""

    cash: Decimal = OPENING_CASH
    """Paid in less paid out."""
    owner_orders: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    """Assets of which the owner sold or moved coins: there botctl may find less than its trades say."""
    edited: set[str] = field(default_factory=set)
    """The client order ids of resting stops whose amount or trigger the owner changed."""
    pauses: list[list[float]] = field(default_factory=list)
    """Moments between which entries were paused: from the end of `pause` to the start of `resume`."""
    coins: dict[str, Decimal] = field(default_factory=dict)
    """What the owner holds beside botctl, by asset."""
    amount: Decimal | None = None
    """What every entry of this world may cost, where that is one figure."""
    shown: dict[str, Decimal] = field(default_factory=dict)
    """The highest price of each symbol that a lie told so that nothing contradicted it."""


@dataclass(frozen=True)
class Snapshot:
    """A world to begin from again and again."""

    folder: Path
    kraken: KrakenSnapshot
    settings: dict[str, str]
    external_actions: ExternalActions
    moment: float
    database: str = "/template0"
    """The address of its database, where that is on a server."""


class World:
    """One home, one Kraken, one clock. Runs are children of a fork server that lives longer than the world.

    Its database is a file of the home, or one of its own on `server`.
    """

    def __init__(self, processes: Processes, snapshot: Snapshot | None = None, server: Server | None = None) -> None:
        self.processes = processes
        self.server = server
        self.folder = Path(tempfile.mkdtemp(prefix="botctl-chaos-", dir=shelf()))
        self.folder.chmod(0o755)  # a run as another user must get in
        self.home = self.folder / "home"
        self.clock = WorldClock(self.folder / "clock")
        self.kraken = FakeKraken(time=self.clock)
        self.runs = 0
        self.started: list[Process] = []
        self.newest_run: Run | None = None
        if snapshot:
            shutil.copytree(snapshot.folder, self.home)
            self.kraken.restore(snapshot.kraken)
            self.external_actions = copy.deepcopy(snapshot.external_actions)
            self.settings = dict(snapshot.settings)
            self.clock.set(snapshot.moment)
        else:
            self.home.mkdir()
            self.external_actions = ExternalActions()
            self.settings = self._default_settings()
            self.clock.set(EPOCH)
        self.kraken.start()
        self.settings["KRAKEN_API_URL"] = self.kraken.url
        self.settings["BOTCTL_HOME"] = self.settings["HOME"] = str(self.home)
        if server:
            self.settings["DATABASE_URL"] = server.new_database(like=snapshot.database if snapshot else "/template0")

    def _default_settings(self) -> dict[str, str]:
        return {
            "BOTCTL_MODE": "live",
            "LIVE_TRADING": "yes",
            "KRAKEN_API_KEY": self.kraken.api_key,
            "KRAKEN_PRIVATE_KEY": self.kraken.secret,
            "INITIAL_BALANCE": f"{OPENING_CASH:f}",
            "SYMBOLS": "BTC/USD",
            "SIGNAL_TIMEFRAME": "15m",  # decisions at each tick: init writes longer ones
            "EXCHANGE_STOP": "off",  # the default, where init writes another one
            "SENTIMENT_URL": "http://127.0.0.1:9/",
            "COOLDOWN_MINUTES": "0",
            "COLUMNS": "80",
            "PATH": "/usr/bin:/bin",
        }

    def close(self) -> None:
        for process in self.started:
            process.end()
        self.kraken.stop()
        close_database()
        if self.server:
            self.server.drop(self.settings["DATABASE_URL"])
        self.clock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def let_candles_follow(self, history: History) -> None:
        """From here on Kraken's candles are made of these prices."""
        self.kraken.markets.candle_source = lambda symbol: history.candles(
            symbol, self.clock.now(), self.kraken.clock.offset
        )

    def come_to_rest(self) -> None:
        """Let the seconds pass that requests still hang for, though their senders have left."""
        while self.kraken.under_way:
            self.clock.skip(5)
            time.sleep(0.01)

    # Runs

    def start(self, *arguments: str, end: End | None = None, **options: Any) -> Process:
        """Let a run begin. Its own environment is this world's settings and nothing else."""
        self.runs += 1
        command = Command(
            arguments=arguments,
            environment=self.settings,
            clock=str(self.clock.path),
            out=str(self.folder / f"out{self.runs}"),
            err=str(self.folder / f"err{self.runs}"),
            end=end or End(),
            **options,
        )
        self.started.append(self.processes.start(command))
        return self.started[-1]

    def run(self, *arguments: str, end: End | None = None, **options: Any) -> Run:
        """A run to its end."""
        if arguments[0] == "resume":
            for pause in self.external_actions.pauses:
                pause[1] = min(pause[1], self.clock.now())
        run = self.newest_run = self.start(*arguments, end=end, **options).wait()
        if self.server and run.exit_code == -signal.SIGKILL:
            wait_until(lambda: not self._sessions())  # a server takes a moment to notice, unlike a file's lock
        if arguments[0] == "pause" and run.exit_code == 0:
            self.note_pause()
        return run

    def note_pause(self) -> None:
        """From here on entries are paused."""
        self.external_actions.pauses.append([self.clock.now(), float("inf")])

    def know_the_key(self) -> None:
        """Spare the trials of this day the question what the key may do."""
        know_the_key(self.where, self.kraken.api_key, datetime.fromtimestamp(self.clock.now(), UTC))

    def must(self, *arguments: str) -> Run:
        """A run that the trial needs: it ends with 0, or the trial itself is wrong."""
        run = self.run(*arguments, wait_seconds=CALM_WAIT_SECONDS)
        assert run.exit_code == 0, f"{' '.join(arguments)}: {run.words}"
        return run

    def count(self, *arguments: str) -> dict[str, Any]:
        """A run's `commits` and `statements`, and in `begins` which of these begin a transaction."""
        file = self.folder / "counts"
        self.run(*arguments, counts=str(file), wait_seconds=CALM_WAIT_SECONDS)
        counts: dict[str, Any] = json.loads(file.read_text())
        return counts

    # The database

    @property
    def where(self) -> DatabaseLocation:
        """The database, be it a file or on a server."""
        return PostgresServer(ServerUrl(self.settings["DATABASE_URL"])) if self.server else SqliteFile(self.database)

    @property
    def database(self) -> Path:
        """The file that a SQLite database is."""
        return self.home / "data" / f"{self.settings['BOTCTL_MODE']}.db"

    @property
    def log(self) -> Path:
        """SQLite's write-ahead log."""
        return self.database.with_name(f"{self.database.name}-wal")

    @property
    def lock_file(self) -> Path:
        return self.database.with_name(f"{self.database.name}.lock")

    @property
    def halt_file(self) -> Path:
        return self.database.with_name("HALT")

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """A separate connection to the database, to read it or to lock it during runs."""
        if self.server:
            with psycopg.connect(self.settings["DATABASE_URL"], autocommit=True) as server:
                yield server
            return
        with closing(sqlite3.connect(self.database, isolation_level=None, check_same_thread=False)) as connection:
            yield connection

    @contextmanager
    def models(self) -> Iterator[None]:
        """Open the database for queries with the models."""
        open_database(self.where, Mode(self.settings["BOTCTL_MODE"]), create=False)
        try:
            yield
        finally:
            close_database()

    def wants_lock(self, process: Process) -> bool:
        """Whether it holds the lock of a run or waits for it."""
        if process.ends_within(0):
            return True
        return self._sessions(process.pid) if self.server else process.has_open(self.lock_file)

    def _sessions(self, pid: int | None = None) -> bool:
        """Whether the server still serves any run; or whether it serves this one, which has asked for the lock."""
        asked = f"application_name LIKE '% {pid}' AND (query LIKE '%pg_try_advisory_lock%' OR pid IN ({HOLDERS}))"
        here = "datname = current_database() AND application_name LIKE 'botctl %'"
        with self.connect() as connection:
            found = connection.execute(f"SELECT 1 FROM pg_stat_activity WHERE {here} AND {asked if pid else 'true'}")
            return found.fetchone() is not None

    def snapshot(self) -> Snapshot:
        """This world as it is now; it is over then."""
        kept = Path(tempfile.mkdtemp(prefix="botctl-chaos-kept-", dir=shelf()))
        shutil.copytree(self.home, kept, dirs_exist_ok=True)
        state = self.kraken.snapshot()
        external_actions, moment = copy.deepcopy(self.external_actions), self.clock.now()
        if not self.server:
            return Snapshot(kept, state, dict(self.settings), external_actions, moment)
        database = self.server.new_database(like=self.settings["DATABASE_URL"])
        return Snapshot(kept, state, dict(self.settings), external_actions, moment, database)

    # What others do

    def council_says(self, decision: str) -> None:
        """A Council of one program, which always answers so."""
        answer = self.home / "answer.json"
        answer.write_text(f'{{"decision": "{decision}", "reason": "the trial says so"}}')
        self.settings["COUNCIL_COMMAND"] = "/bin/cat answer.json"

    def council_sits(self, decision: str) -> None:
        """A Council that decides so, but only once it is told to: see `hear_council`."""
        self.council_says(decision)
        waits = f"while [ -e {self._sitting} ] && [ ! -e {self._heard} ]; do sleep 0.02; done"
        script = self.home / "council"
        script.write_text(f"#!/bin/sh\ntouch {self._sitting}\n{waits}\ncat answer.json\n")
        script.chmod(0o755)
        self.settings["COUNCIL_COMMAND"] = str(script)

    @property
    def _sitting(self) -> Path:
        return self.home / "the-council-sits"

    @property
    def _heard(self) -> Path:
        return self.home / "the-council-is-heard"

    def wait_for_council(self) -> None:
        """Until it sits."""
        wait_until(self._sitting.exists)

    def hear_council(self) -> None:
        """Let it answer."""
        self._heard.touch()

    def council_is_silent(self) -> None:
        self.settings.pop("COUNCIL_COMMAND", None)

    def owner_trades(self, side: str, symbol: str, amount: Decimal) -> Order | None:
        """The owner's own market order, by hand in the web interface; None when Kraken refuses it."""
        try:
            order = self.kraken.trade_by_hand(side, symbol, amount)
        except Refusal:
            return None
        asset, coins = symbol.split("/")[0], self.external_actions.coins
        self.external_actions.owner_orders.add(order.txid)
        if side == "sell":
            self.external_actions.touched.add(asset)
        if asset in coins:
            coins[asset] = max(Decimal(0), coins[asset] + (amount if side == "buy" else -amount))
        return order

    def owner_holds(self, asset: str, amount: Decimal) -> None:
        """The owner's own coins, beside whatever botctl buys."""
        self.external_actions.coins[asset] = amount
        self.kraken.balances[asset_named(asset).id] = amount
