"""Fixtures of all tests: a home and a fake Kraken of their own, and no access to the real ones."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from botctl.domain.settings import NAMES, Mode
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from tests import postgres
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken

A_FILE = "path"
"""The fixture of tests about a SQLite file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="The database of the tests; postgresql starts a server of its own.",
    )


def pytest_configure(config: pytest.Config) -> None:
    restore_sigint()
    if not hasattr(config, "workerinput"):
        postgres.create_folder()


def restore_sigint() -> None:
    """A shell starts background jobs with SIGINT ignored, and a command under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres.remove_folder()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests about SQLite files on PostgreSQL, and spread tests that wait over the run."""
    if config.getoption("--database") == "postgresql":
        about_files = [item for item in items if item.get_closest_marker("sqlite") or A_FILE in item.fixturenames]  # type: ignore[attr-defined]
        config.hook.pytest_deselected(items=about_files)
        items[:] = [item for item in items if item not in set(about_files)]
    items[:] = spread_waiting(items)


def spread_waiting(items: list[pytest.Item]) -> list[pytest.Item]:
    """Put tests that wait at even distances between the others: in parallel with them they cost almost nothing."""
    waiting = [item for item in items if item.get_closest_marker("waits")]
    working = [item for item in items if not item.get_closest_marker("waits")]
    distance = len(working) // (len(waiting) or 1)
    spread = []
    for place, item in enumerate(waiting):
        spread += [item, *working[place * distance : (place + 1) * distance]]
    return spread + working[len(waiting) * distance :]


@pytest.fixture(scope="session")
def server() -> postgres.Server:
    """The PostgreSQL server of the tests; without PostgreSQL the test is skipped."""
    try:
        return postgres.shared_server()
    except postgres.NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> postgres.Server | None:
    """The server that all tests of this run use; None on SQLite."""
    if request.config.getoption("--database") != "postgresql":
        return None
    found: postgres.Server = request.getfixturevalue("server")
    return found


@pytest.fixture(scope="session", autouse=True)
def block_network() -> Iterator[None]:
    """Block connections to other machines: the real Kraken and the real Fear & Greed index."""
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
    """Remove the settings of the user who runs the tests."""
    for name in os.environ:
        if name in NAMES or name.startswith(("BOTCTL_", "KRAKEN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SENTIMENT_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


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
    database_server: postgres.Server | None,
) -> Iterator[BotRunner]:
    """botctl in demo mode."""
    runner = BotRunner(home, monkeypatch, capsys, database_server)
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
    """A fake Kraken with BTC at 50000 and an ATR of exactly 500."""
    with FakeKraken() as server:
        server.set_price("BTC/USD", 50000)
        server.flat_candles("BTC/USD", 50000, 500)
        yield server


@pytest.fixture
def live(bot: BotRunner, kraken: FakeKraken) -> BotRunner:
    """botctl in live mode against the fake Kraken, with a database and warm caches."""
    go_live(bot, kraken)
    kraken.clear_requests()
    return bot


def go_live(bot: BotRunner, kraken: FakeKraken) -> None:
    """Set live mode against the fake Kraken, create the database and fill the caches."""
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


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """The path of a database that does not exist yet."""
    yield tmp_path / "data" / "demo.db"
    close_database()


@pytest.fixture
def store(path: Path) -> Path:
    """A new demo database, open."""
    open_database(SqliteFile(path), Mode.DEMO, create=True)
    return path
