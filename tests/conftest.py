"""Fixtures of all tests: a home and a fake Kraken of their own, and no access to the real ones."""

import contextlib
import fcntl
import gc
import importlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import freezegun
import freezegun.api
import pytest
from hypothesis import settings

from botctl._fast_imports import import_kraken_alone
from botctl.backtesting.jit import cache_folder
from botctl.cli.app import run_command
from botctl.config import Config, open_store
from botctl.domain.configuration.settings import NAMES, Mode, parse_settings
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.trading.tick import tick
from botctl.wiring import build_bot
from tests import postgres
from tests.bent_time import later
from tests.bot_runner import PROJECT, BotRunner
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.public_endpoints import market_json
from tests.listener import Listener
from tests.shelf import shelf

settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)  # with `.ci/run --long`
settings.load_profile("quick")
TESTS = Path(__file__).parent
TIMELESS = [
    "numba",
    "numpy",
    "pandas",
    "pandas_ta",
    "ccxt.abstract",
    "cryptography",
    "encodings",
    "prometheus_client",
    "pygments",
]
"""Many modules that never ask for the time: whoever freezes it need not look through them."""
SPELLED: dict[type, set[str]] = {}
"""The classes of exchanges whose methods ccxt has spelled in camel case too, with all their other names."""
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
    gc.disable()  # until everything is collected: nothing of it becomes garbage
    restore_sigint()
    if not hasattr(config, "workerinput"):
        use_memory_for_temporary_files()
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process of botctl would compile all of it anew
        postgres.create_folder()
        os.environ["NUMBA_CACHE_DIR"] = str(compiled_folder(config))
    freezegun.configure(extend_ignore_list=TIMELESS)
    freezegun.api._get_module_attributes_hash = state_of_module


def state_of_module(module: Any) -> str:
    """Whether freezegun has looked through a module as it is now. Its own answer hashes the names of all that is in it,
    which took 25 ms of CPU time for 3000 modules at each test that freezes the time."""
    return f"{id(module)}-{len(getattr(module, '__dict__', ()))}"


def names_to_spell_again(exchange: Any) -> list[str]:
    """What ccxt spells in camel case too, in each new object of an exchange. Its own `dir` names all methods as well,
    although the first object has left their spellings in the class: a twentieth of the CPU time of a run."""
    kind = type(exchange)
    if kind in SPELLED:
        return sorted(SPELLED[kind] | exchange.__dict__.keys())
    names = dir(exchange)
    SPELLED[kind] = {name for name in names if not isinstance(getattr(exchange, name), MethodType)}
    return names


def pytest_collection(session: pytest.Session) -> None:
    """Let each worker begin with other test modules than the rest. pytest rewrites their assertions, which takes long
    and is kept as bytecode: so each of them is rewritten by one worker, where all would do it at the same time."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    files = sorted(TESTS.rglob("test_*.py"))
    start = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in [
        *TESTS.rglob("conftest.py"),
        *files[start:],
        *files[:start],
    ]:  # a conftest.py before all that it is for
        with contextlib.suppress(Exception):  # pytest itself tries again and reports it
            importlib.import_module(".".join(file.relative_to(PROJECT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """From here on the garbage collector looks at what the tests themselves create, and not at their modules again."""
    gc.freeze()
    gc.set_threshold(10_000)  # a run of botctl takes 50 ms: looking for its garbage at every 700 objects is 3 % of that
    gc.enable()


def use_memory_for_temporary_files() -> None:
    """Keep the homes and databases of tests in memory, where there is room: a thousand of them wait for no disk."""
    if "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(shelf())
        tempfile.tempdir = None  # it is determined once, and may have been already


def compiled_folder(config: pytest.Config) -> Path:
    """Where all workers keep compiled code: in pytest's cache, by the state of the sources, or for this run alone."""
    cache = getattr(config, "cache", None)
    return (cache.mkdir("compiled") if cache else postgres.run_folder() / "compiled") / cache_folder().name


def restore_sigint() -> None:
    """A shell starts background jobs with SIGINT ignored, and a command under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres.remove_folder()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Deselect tests about SQLite files on PostgreSQL, and put those that wait where they cost least."""
    for item in items:
        if item.get_closest_marker("soak"):  # of two parameters one may make it long
            item.own_markers = [mark for mark in item.own_markers if mark.name != "long"]
    if config.getoption("--database") == "postgresql":
        about_files = [item for item in items if item.get_closest_marker("sqlite") or A_FILE in item.fixturenames]  # type: ignore[attr-defined]
        config.hook.pytest_deselected(items=about_files)
        items[:] = [item for item in items if item not in set(about_files)]
    yield  # by now `-m` has deselected
    items[:] = place_waiting(items, workers=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def place_waiting(items: list[pytest.Item], *, workers: int) -> list[pytest.Item]:
    """Put tests that wait at even distances between the others: in parallel with them they cost almost nothing. All
    workers but two begin with those that wait for long, so that none of these is left for the end. Each worker gets an
    equal part of the list at first."""
    marks = {item: mark for item in items if (mark := item.get_closest_marker("waits"))}
    long = sorted((item for item in marks if marks[item].args), key=lambda item: marks[item].args[0])
    waiting = [item for item in marks if not marks[item].args]
    working = [item for item in items if item not in marks]
    distance = len(working) // (len(waiting) or 1)
    ordered: list[pytest.Item] = []
    for place, item in enumerate(waiting):
        ordered += [item, *working[place * distance : (place + 1) * distance]]
    ordered += working[len(waiting) * distance :]
    part, beginners = len(items) // workers, max(1, workers - 2)
    for place, item in enumerate(long):
        worker = (len(long) - 1 - place) % beginners
        ordered.insert(worker * part + worker, item)  # parts may be larger by one
    return ordered


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
def load_pandas() -> None:
    """Before any test freezes the time: pandas crashes if it is loaded while `datetime` is freezegun's."""
    with warnings.catch_warnings(action="ignore"):  # of pandas about pandas-ta
        import pandas_ta  # noqa: F401


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


@pytest.fixture(scope="session")
def quick_exchanges() -> None:
    """For tests in which ccxt makes many objects."""
    import_kraken_alone()
    sys.modules["ccxt.base.exchange"].dir = names_to_spell_again  # type: ignore[attr-defined]


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
def bent_time() -> Iterator[None]:
    """Nobody sleeps: the clock is moved on instead, and the fake Kraken's with it. For tests of one process."""
    with later():
        yield


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of closed trades come without their picture: loading matplotlib takes a second of CPU time a process."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


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
    yield from borrowed(BotRunner(home, monkeypatch, capsys, database_server))


def borrowed(runner: BotRunner) -> Iterator[BotRunner]:
    yield runner
    close_database()
    runner.drop_databases()


@pytest.fixture
def hosted(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: postgres.Server
) -> Iterator[BotRunner]:
    """botctl in demo mode on a PostgreSQL server, whatever the other tests run on."""
    yield from borrowed(BotRunner(home, monkeypatch, capsys, server))


@pytest.fixture
def hosted_live(hosted: BotRunner, kraken: FakeKraken) -> BotRunner:
    """The same in live mode, as `live`."""
    go_live(hosted, kraken)
    kraken.clear_requests()
    return hosted


@pytest.fixture
def kraken(quick_exchanges: None) -> Iterator[FakeKraken]:
    """A fake Kraken with BTC at 50000 and an ATR of exactly 500."""
    with FakeKraken() as server:
        set_market(server)
        yield server


def set_market(kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 50000)
    kraken.flat_candles("BTC/USD", 50000, 500)


@pytest.fixture(scope="session")
def live_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a live bot that has just been set up, against a fake Kraken that nothing has changed."""
    home = tmp_path_factory.mktemp("live") / "home"
    home.mkdir()
    with FakeKraken() as kraken, pytest.MonkeyPatch.context() as patch:
        for name, value in {"BOTCTL_HOME": str(home), **live_settings(kraken)}.items():
            patch.setenv(name, value)
        with later(minutes=-1):  # these calls have left Kraken's counter by now, and no test waits for that
            for command in ("init", "balance", "check-positions"):
                assert run_command([command]) == 0
                close_database()
    keep_few_settings(home / ".env")
    return home


def keep_few_settings(env_file: Path) -> None:
    """Without the lines that only say what the default is: parsing them takes 2 ms of CPU time in each run."""
    lines = env_file.read_text().splitlines(keepends=True)
    env_file.write_text("".join(line for line in lines if line.startswith(("BOTCTL_MODE", "LIVE_TRADING", "SYMBOLS"))))


@pytest.fixture(scope="session")
def usual_markets() -> dict[str, Any]:
    with FakeKraken() as kraken:
        return market_list(kraken)


@pytest.fixture
def live(bot: BotRunner, kraken: FakeKraken, live_home: Path, usual_markets: dict[str, Any]) -> BotRunner:
    """botctl in live mode against that Kraken, with its database made and its caches warm."""
    if bot.server or market_list(kraken) != usual_markets:
        go_live(bot, kraken)
    else:
        bot.set(**live_settings(kraken))
        shutil.copytree(live_home, bot.home, dirs_exist_ok=True)
    kraken.clear_requests()
    return bot


def market_list(kraken: FakeKraken) -> dict[str, Any]:
    """What botctl caches of the exchange for a day."""
    return {market.symbol: market_json(market) for market in kraken.markets}


def go_live(bot: BotRunner, kraken: FakeKraken) -> None:
    """Settings for that Kraken, a database, and warm caches: all of a minute ago, as in `live_home`."""
    bot.set(**live_settings(kraken))
    with later(minutes=-1):
        assert bot.run("init").exit_code == 0
        assert bot.run("balance").exit_code == 0
        assert bot.run("check-positions").exit_code == 0  # the journal's first comparison with the exchange


def live_settings(kraken: FakeKraken) -> dict[str, str]:
    return {
        "BOTCTL_MODE": "live",
        "LIVE_TRADING": "yes",
        "EXCHANGE_STOP": "off",  # the default: init writes another one
        "KRAKEN_API_URL": kraken.url,
        "KRAKEN_API_KEY": kraken.api_key,
        "KRAKEN_PRIVATE_KEY": kraken.secret,
        "INITIAL_BALANCE": "10000",
        "SYMBOLS": "BTC/USD",
    }


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A service that is called over HTTP."""
    with Listener() as server:
        yield server


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


# A demo home with a past, played once and copied for each test that only looks at it


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database after 60 ticks: trades that closed, and decisions of every kind. One for all workers."""
    folder = tmp_path_factory.mktemp("played")
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tmp_path_factory.getbasetemp().parent / "played"
        folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            play(folder, {})
            done.touch()
    return Config(folder, folder / ".env", parse_settings({})).database_file


@pytest.fixture(scope="session")
def played_on_server(tmp_path_factory: pytest.TempPathFactory, server: postgres.Server) -> str:
    """The same on a server: the address of the database."""
    url = server.new_database()
    play(tmp_path_factory.mktemp("played"), {"DATABASE_URL": url})
    return url


def play(folder: Path, settings: dict[str, str]) -> Config:
    home = Config(folder, folder / ".env", parse_settings(settings))
    with open_store(home, create=True):
        bot = build_bot(home.settings, home.switch)
        for _ in range(60):
            tick(bot)
    return home


@pytest.fixture
def veteran(bot: BotRunner, request: pytest.FixtureRequest) -> BotRunner:
    """botctl in demo mode, in a home of its own with those 60 ticks behind it."""
    if bot.server:
        url = bot.url_of("demo")
        bot.server.drop(url)
        bot.server.new_database(like=request.getfixturevalue("played_on_server"), name=url)
        return bot
    played: Path = request.getfixturevalue("played")
    bot.database.parent.mkdir()
    shutil.copy(played, bot.database)
    bot.database.chmod(0o600)
    return bot
