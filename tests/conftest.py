"""What every test stands on: a home of its own, a Kraken of its own, and no way out to the real ones."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from botctl.cli.app import run_command
from botctl.domain.database_url import ServerUrl
from botctl.domain.settings import NAMES, Mode
from botctl.home import LockTimeouts
from botctl.store.database import close_database, open_database
from botctl.store.location import DatabaseLocation, PostgresServer, SqliteFile
from tests import databases, postgres
from tests.fake_kraken import FakeKraken

PROJECT = Path(__file__).parent.parent
A_FILE = "path"
"""The fixture of tests/store for what is about a SQLite file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="What every bot of the tests keeps its data in; postgresql starts a server of its own.",
    )


def pytest_configure(config: pytest.Config) -> None:
    hear_ctrl_c()
    if not hasattr(config, "workerinput"):
        postgres.make_room()


def hear_ctrl_c() -> None:
    """A shell has what it starts with `&` ignore Ctrl-C, and so would every command that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres.clear_room()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about SQLite's own file is left out where there is none, and what waits is spread over the run."""
    if config.getoption("--database") == "postgresql":
        about_files = [item for item in items if item.get_closest_marker("sqlite") or A_FILE in item.fixturenames]  # type: ignore[attr-defined]
        config.hook.pytest_deselected(items=about_files)
        items[:] = [item for item in items if item not in set(about_files)]
    items[:] = spread_waiting(items)


def spread_waiting(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests that wait at even distances among those that work: side by side with them they cost nearly nothing."""
    waiting = [item for item in items if item.get_closest_marker("waits")]
    working = [item for item in items if not item.get_closest_marker("waits")]
    distance = len(working) // (len(waiting) or 1)
    spread = []
    for place, item in enumerate(waiting):
        spread += [item, *working[place * distance : (place + 1) * distance]]
    return spread + working[len(waiting) * distance :]


@pytest.fixture(scope="session")
def server() -> postgres.Server:
    """A PostgreSQL server of the tests' own; without one the test is skipped."""
    try:
        return postgres.shared_server()
    except postgres.NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kept_on(request: pytest.FixtureRequest) -> postgres.Server | None:
    """The server that this run of the tests keeps its data on; None on SQLite."""
    if request.config.getoption("--database") != "postgresql":
        return None
    found: postgres.Server = request.getfixturevalue("server")
    return found


@pytest.fixture(scope="session", autouse=True)
def no_way_out() -> Iterator[None]:
    """No test reaches any machine but this one: not the real Kraken, not the real Fear & Greed index."""
    real = socket.getaddrinfo

    def loopback_only(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1", None):
            raise socket.gaierror(f"tests don't call {host}")
        return real(host, *args, **kwargs)

    socket.getaddrinfo = loopback_only
    yield
    socket.getaddrinfo = real


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting and no .env of the person who runs the tests plays a part."""
    for name in os.environ:
        if name in NAMES or name.startswith(("BOTCTL_", "KRAKEN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SENTIMENT_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Run:
    """What one command answered."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


class BotRunner:
    """Runs botctl commands in one home: in this process, or as a process of its own where that matters."""

    def __init__(
        self,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        server: postgres.Server | None = None,
    ) -> None:
        self.home = home
        self.server = server
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.lock_timeouts: LockTimeouts | None = None
        """How long commands in this process wait for others, where that is not as long as always."""
        self._urls: dict[str, str] = {}
        self.set(BOTCTL_HOME=str(home))
        if server:
            self.set(BOTCTL_MODE="demo")

    def set(self, **settings: str) -> None:
        """Settings for all runs from here on. On a server each mode has a database, as on SQLite a file."""
        if self.server and settings.get("BOTCTL_MODE", "").lower() in list(Mode):
            settings.setdefault("DATABASE_URL", self.url_of(settings["BOTCTL_MODE"].lower()))
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)

    def url_of(self, mode: str) -> str:
        assert self.server is not None
        if mode not in self._urls:
            self._urls[mode] = self.server.new_database()
        return self._urls[mode]

    def drop_databases(self) -> None:
        for url in self._urls.values():
            assert self.server is not None
            self.server.drop(url)

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name, raising=False)

    def run(self, *arguments: str) -> Run:
        """One command, in this process."""
        self._capsys.readouterr()
        try:
            code = run_command(list(arguments), self.lock_timeouts)
        finally:
            close_database()
        out, err = self._capsys.readouterr()
        return Run(code, out, err)

    def json(self, *arguments: str) -> Any:
        """The JSON answer of a command that must succeed."""
        run = self.run(*arguments, "--json")
        assert run.exit_code == 0, run.stdout + run.stderr
        return run.json()

    def spawn(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The same command as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "botctl", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self.home,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            **options,
        )

    def process(self, *arguments: str) -> Run:
        """A process run to its end."""
        process = self.spawn(*arguments)
        out, err = process.communicate(timeout=60)
        return Run(process.returncode, out, err)

    @property
    def mode(self) -> str:
        return os.environ.get("BOTCTL_MODE", "demo")

    @property
    def where(self) -> DatabaseLocation:
        """The database, be it a file or on a server."""
        return PostgresServer(ServerUrl(self._urls[self.mode])) if self.server else SqliteFile(self.database)

    @property
    def database(self) -> Path:
        """The file that a SQLite database is."""
        return self.home / "data" / f"{self.mode}.db"

    def execute(self, statement: str) -> None:
        """Change the database from outside, as a person with a shell of it does."""
        databases.execute(self.where, statement)

    def rows(self, *, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
        """Every row of every table, looked at without a change."""
        return databases.rows_of(self.where, without=without)

    def open_store(self) -> None:
        """Open the database for a look with the models."""
        open_database(self.where, Mode(self.mode), create=False)

    # What scenarios ask for most

    def positions(self) -> list[dict[str, Any]]:
        return self.json("positions")  # type: ignore[no-any-return]

    def trades(self) -> list[dict[str, Any]]:
        return self.json("trades")  # type: ignore[no-any-return]

    def orders(self) -> list[dict[str, Any]]:
        return self.json("orders")  # type: ignore[no-any-return]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def bot(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kept_on: postgres.Server | None,
) -> Iterator[BotRunner]:
    """botctl in demo mode."""
    runner = BotRunner(home, monkeypatch, capsys, kept_on)
    yield runner
    close_database()
    runner.drop_databases()


@pytest.fixture
def hosted(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: postgres.Server
) -> Iterator[BotRunner]:
    """botctl in demo mode on a PostgreSQL server, whatever the other tests run on."""
    runner = BotRunner(home, monkeypatch, capsys, server)
    yield runner
    close_database()
    runner.drop_databases()


@pytest.fixture
def hosted_live(hosted: BotRunner, kraken: FakeKraken) -> BotRunner:
    """The same in live mode, as `live`."""
    go_live(hosted, kraken)
    kraken.clear_requests()
    return hosted


@pytest.fixture
def kraken() -> Iterator[FakeKraken]:
    """A Kraken where BTC stands at 50000 with an ATR of exactly 500, and nobody else trades."""
    with FakeKraken() as server:
        server.set_price("BTC/USD", 50000)
        server.flat_candles("BTC/USD", 50000, 500)
        yield server


@pytest.fixture
def live(bot: BotRunner, kraken: FakeKraken) -> BotRunner:
    """botctl in live mode against that Kraken, with its database made and its caches warm."""
    go_live(bot, kraken)
    kraken.clear_requests()
    return bot


def go_live(bot: BotRunner, kraken: FakeKraken) -> None:
    """Settings for that Kraken, a database, and warm caches."""
    bot.set(
        BOTCTL_MODE="live",
        LIVE_TRADING="yes",
        KRAKEN_API_URL=kraken.url,
        KRAKEN_API_KEY=kraken.api_key,
        KRAKEN_PRIVATE_KEY=kraken.secret,
        INITIAL_BALANCE="10000",
        SYMBOLS="BTC/USD",
    )
    assert bot.run("init").exit_code == 0
    assert bot.run("balance").exit_code == 0
