"""The door of PostgreSQL: what its connections promise, and what its failures are called."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from botctl.domain.configuration.database_url import ServerUrl
from botctl.domain.configuration.settings import Mode, parse_settings
from botctl.domain.errors import BotError, Busy, ConfigError, DatabaseUnreachable, WrongDatabase
from botctl.store import key_value
from botctl.store.corrections import Correction, apply_corrections
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import PostgresServer
from botctl.store.models import TABLES_LOCKED_FOR_WRITES, Event, PaperHolding, SystemConfig, Tick, Trade, database
from botctl.store.server.session_lock import find_session
from tests.bot_runner import PROJECT, BotRunner
from tests.databases import Writer, execute, held_lock
from tests.postgres import PASSWORD, USER, Server

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)

HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
"""Of this database alone: other tests use the server too."""
MAKES_IT = """
import sys
from botctl.domain.configuration.database_url import ServerUrl
from botctl.domain.configuration.settings import Mode
from botctl.store.database import open_database
from botctl.store.location import PostgresServer
open_database(PostgresServer(ServerUrl(sys.argv[1])), Mode.DEMO, create=True)
"""


@pytest.fixture
def empty(server: Server) -> Iterator[PostgresServer]:
    """An empty database."""
    url = server.new_database()
    yield PostgresServer(ServerUrl(url))
    close_database()
    server.drop(url)


@pytest.fixture
def store(empty: PostgresServer) -> PostgresServer:
    """A demo database, open."""
    open_database(empty, Mode.DEMO, create=True)
    return empty


def shown(name: str) -> str:
    return str(database.execute_sql(f"SHOW {name}").fetchone()[0])


# What a connection promises


def test_a_connection_is_durable_and_waits_for_nothing_without_an_end(store: PostgresServer) -> None:
    wanted = {
        "synchronous_commit": "on",
        "lock_timeout": "10s",
        "statement_timeout": "1min",
        "idle_in_transaction_session_timeout": "30s",
        "idle_session_timeout": "0",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": "30000",
    }

    assert {name: shown(name) for name in wanted} == wanted
    assert str(os.getpid()) in shown("application_name")


def test_a_setting_of_the_server_that_is_less_durable_does_not_count(server: Server, empty: PostgresServer) -> None:
    server.execute(f"ALTER DATABASE {empty.url.value.rpartition('/')[2]} SET synchronous_commit = off")

    open_database(empty, Mode.DEMO, create=True)

    assert shown("synchronous_commit") == "on"


def test_texts_sort_as_on_sqlite_and_floats_keep_all_their_digits(store: PostgresServer) -> None:
    kinds = database.execute_sql(
        "SELECT DISTINCT data_type, collation_name FROM information_schema.columns WHERE table_schema = 'public'"
    ).fetchall()

    assert set(kinds) == {("integer", None), ("boolean", None), ("double precision", None), ("text", "C")}


def test_what_sqlite_keeps_is_kept_here_too(store: PostgresServer) -> None:
    PaperHolding.create(currency="BTC", total=Decimal("12345678901.123456780"))
    Tick.create(at=NOON, seconds=0.1 + 0.2, ok=True, exit_code=0, steps=[{"name": "é\n%s %% '"}])
    key_value.save("odd", "before\0after")

    tick = Tick.get()
    assert str(PaperHolding.get().total) == "12345678901.123456780"
    assert (tick.at, tick.seconds, tick.ok, tick.steps) == (NOON, 0.1 + 0.2, True, [{"name": "é\n%s %% '"}])
    assert key_value.load("odd") is not None
    assert key_value.load("odd")[0] == "before\ufffdafter"  # type: ignore[index]


def test_rows_with_numbers_of_their_own_are_counted_on_from(store: PostgresServer) -> None:
    """As recover writes them, by the number that Kraken's records tell."""
    columns = {"symbol": "BTC/USD", "asset": "BTC", "mode": "demo", "status": "CLOSED", "created_at": NOON}
    lost = Correction(None, 41, {**columns, "amount": Decimal(1)}, [], "it was lost")

    apply_corrections([lost], NOON)

    assert Trade.create(symbol="ETH/USD", asset="ETH", mode="demo", created_at=NOON, amount=Decimal(1)).id == 42


@pytest.mark.long
def test_processes_that_make_it_at_once_make_one(empty: PostgresServer) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    runs = [
        subprocess.Popen([sys.executable, "-c", MAKES_IT, empty.url.value], stderr=subprocess.PIPE, env=environment)
        for _ in range(4)
    ]

    said = [run.communicate(timeout=30)[1] for run in runs]

    assert [run.returncode for run in runs] == [0] * 4, said
    open_database(empty, Mode.DEMO, create=False)
    assert SystemConfig.select().count() == 4


# Transactions


def test_nobody_turns_the_switch_or_writes_a_trade_while_an_intent_is_written(store: PostgresServer) -> None:
    with database.atomic("IMMEDIATE"):
        for table in TABLES_LOCKED_FOR_WRITES:
            with psycopg.connect(store.url.value, autocommit=True) as other:
                other.execute("SET lock_timeout = '20ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(f'DELETE FROM "{table._meta.table_name}"')
                assert other.execute(f'SELECT count(*) FROM "{table._meta.table_name}"').fetchone()


def test_a_switch_that_cannot_be_read_inside_a_transaction_does_not_end_it(
    store: PostgresServer, tmp_path: Path
) -> None:
    execute(store, "DROP TABLE systemconfig")

    with database.atomic("IMMEDIATE"):
        state = Switch((tmp_path / "HALT",)).read()
        Event.create(at=NOON, kind="test", before={}, after={}, why="the stop is sold all the same")

    assert state.paused
    assert Event.select().count() == 1


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(store: PostgresServer) -> None:
    def fail(statement: str) -> None:
        with database.atomic("IMMEDIATE"):
            key_value.save("a", "b")
            database.execute_sql(statement)

    with pytest.raises(BotError, match="nowhere"):
        fail("SELECT * FROM nowhere")
    with pytest.raises(BotError, match="division by zero"):
        fail("SELECT 1 / 0")

    assert key_value.load("a") is None
    key_value.save("a", "c")


def test_a_database_that_stays_locked_is_busy(store: PostgresServer) -> None:
    close_database()
    open_database(PostgresServer(store.url, busy_seconds=0.1), Mode.DEMO, create=False)
    other = Writer(store)
    other.take()

    with pytest.raises(Busy, match="locked by another process"):
        key_value.save("a", "b")
    with pytest.raises(Busy), database.atomic("IMMEDIATE"):
        pass
    other.commit()

    key_value.save("a", "b")


# The lock


def test_one_holds_the_lock_and_others_wait_as_long_as_they_were_told(store: PostgresServer) -> None:
    with held_lock(store):
        started = time.monotonic()
        with pytest.raises(Busy, match="another run"), store.lock(0.4):
            pass
        took = time.monotonic() - started

    for _ in range(20):  # it is free at once, not only when the server has noticed
        with store.lock(0):
            open_database(store, Mode.DEMO, create=False)
            close_database()
    assert 0.35 < took < 5


def test_who_waits_goes_on_when_the_other_ends(store: PostgresServer) -> None:
    other = held_lock(store)
    other.__enter__()
    threading.Timer(0.3, other.__exit__, (None, None, None)).start()

    with store.lock(30):
        pass


def test_the_lock_is_held_by_the_connection_that_writes(store: PostgresServer) -> None:
    with store.lock(0):
        open_database(store, Mode.DEMO, create=False)
        [holder] = database.execute_sql(f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND {HERE}").fetchone()
        [writer] = database.execute_sql("SELECT pg_backend_pid()").fetchone()

        assert holder == writer
    assert database.is_closed()


def test_a_run_is_never_taken_for_younger_than_it_is(store: PostgresServer) -> None:
    """It says its time in whole seconds. Rounded up they are yet to come, and whoever looks takes it for new."""
    while not 0.55 < time.time() % 1 < 0.8:
        time.sleep(0.01)

    with store.lock(0):
        open_database(store, Mode.DEMO, create=False)
        holder = find_session(database)

    assert holder is not None
    assert holder.since is not None
    assert holder.since.microsecond == 0


def test_a_connection_that_broke_is_never_made_again(store: PostgresServer, server: Server) -> None:
    with store.lock(0):
        open_database(store, Mode.DEMO, create=False)
        [pid] = database.execute_sql("SELECT pg_backend_pid()").fetchone()
        server.execute(f"SELECT pg_terminate_backend({pid})")
        for _ in range(3):
            with pytest.raises(DatabaseUnreachable, match=r"the connection to postgresql://.* broke"):
                key_value.save("a", "b")
        with held_lock(store):
            pass
    open_database(store, Mode.DEMO, create=False)
    assert key_value.load("a") is None


def test_two_bots_in_two_schemas_of_one_database_do_not_meet(server: Server, empty: PostgresServer) -> None:
    execute(empty, "CREATE SCHEMA one")
    execute(empty, "CREATE SCHEMA two")
    one, two = (
        PostgresServer(ServerUrl(f"{empty.url.value}?options=-csearch_path%3D{name}")) for name in ("one", "two")
    )
    open_database(one, Mode.DEMO, create=True)
    open_database(two, Mode.PAPER, create=True)

    with held_lock(one), two.lock(0):
        pass


# Failures


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("{user}:wrong-wrong@127.0.0.1:{port}/postgres", ConfigError, "password authentication failed"),
        ("nobody:wrong-wrong@127.0.0.1:{port}/postgres", ConfigError, "password authentication failed"),
        ("{user}:{password}@127.0.0.1:{port}/nowhere", ConfigError, 'database "nowhere" does not exist'),
        ("{user}:{password}@no-such-host.invalid:{port}/postgres", ConfigError, "no-such-host.invalid"),
        ("{user}:{password}@127.0.0.1:{port}/postgres?sslmode=require", ConfigError, "SSL"),
        ("{user}:{password}@127.0.0.1:{port}/postgres?sslmode=maybe", ConfigError, "sslmode"),
        ("{user}:{password}@127.0.0.1:{port}/postgres?nonsense=1", ConfigError, "nonsense"),
        ("{user}:{password}@127.0.0.1:9/postgres", DatabaseUnreachable, "refused"),
        ("{user}:{password}@/postgres?host=/nowhere", DatabaseUnreachable, "can't be reached"),
    ],
)
def test_what_keeps_us_from_connecting_is_named_without_the_password(
    server: Server, url: str, kind: type[BotError], words: str
) -> None:
    password = "p%40ss%2Fword%20of%20the%20owner"
    address = PostgresServer(ServerUrl("postgresql://" + url.format(user=USER, password=password, port=server.port)))

    with pytest.raises(kind) as caught:
        address.connect()

    said = repr(caught.value) + str(caught.value) + caught.value.hint + repr(address) + f"{address}"
    assert type(caught.value) is kind
    assert words in said
    assert caught.value.hint
    for secret in (PASSWORD, password, "wrong-wrong"):
        assert secret not in said


def test_a_role_that_may_not_make_tables_is_named(server: Server, empty: PostgresServer) -> None:
    name = empty.url.value.rpartition("/")[2]
    server.execute(f"CREATE ROLE guest_{name} LOGIN PASSWORD 'hush-hush'")
    guest = PostgresServer(ServerUrl(server.url(name, f"guest_{name}", "hush-hush")))

    with pytest.raises(ConfigError, match="permission denied") as caught:
        open_database(guest, Mode.DEMO, create=True)

    assert "owner" in caught.value.hint


def test_a_server_that_can_only_be_read_is_named(server: Server, empty: PostgresServer) -> None:
    server.execute(f"ALTER DATABASE {empty.url.value.rpartition('/')[2]} SET default_transaction_read_only = on")

    with pytest.raises(ConfigError, match="can only be read"):
        open_database(empty, Mode.DEMO, create=True)


def test_a_database_that_cannot_hold_every_text_is_refused(server: Server) -> None:
    server.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(ConfigError, match="encoding is LATIN1"):
            open_database(PostgresServer(ServerUrl(server.url("narrow"))), Mode.DEMO, create=True)
    finally:
        close_database()
        server.drop(server.url("narrow"))


def test_only_init_makes_a_live_database(empty: PostgresServer) -> None:
    with pytest.raises(WrongDatabase, match="there is no live database at postgresql://"):
        open_database(empty, Mode.LIVE, create=False)

    assert database.get_tables() == []


def test_a_missing_driver_is_named_with_its_extra(hosted: BotRunner) -> None:
    without = "import sys; sys.modules['psycopg'] = None; from botctl.cli.app import run_command as run; "

    said = subprocess.run(
        [sys.executable, "-c", without + "sys.exit(run(['status']))"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )

    assert said.returncode == 78, said
    assert "pip install 'botctl[postgres]'" in said.stderr


def test_a_run_on_sqlite_loads_no_driver(bot: BotRunner) -> None:
    asked = (
        "import sys; from botctl.cli.app import run_command as run; run(['status']); print('psycopg' in sys.modules)"
    )

    said = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "DATABASE_URL": "sqlite:///data/light.db"},
        capture_output=True,
        text=True,
    )

    assert said.stdout.endswith("False\n"), said


# The address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bot:hush-hush@db.example/bot",
        "postgresql://bot:hu%40sh@db.example:5433/bot?sslmode=verify-full",
        "postgresql://one.example,two.example:5433/bot?password=hush-hush",
        "postgresql:///bot?host=/var/run/postgresql",
    ],
)
def test_an_address_never_prints_its_password(url: str) -> None:
    settings = parse_settings({"DATABASE_URL": url})

    assert isinstance(settings.database_url, ServerUrl)
    assert settings.database_url.reveal() == url
    for text in (str(settings), repr(settings), f"{settings.database_url}"):
        assert "hush" not in text
        assert "hu%40sh" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bot:hu@sh@db.example/bot",
        "postgresql://bot:hu/sh@db.example/bot",
        "postgresql://bot:hu#sh@db.example/bot",
        "postgresql://bot:hu?sh@db.example/bot",
        "postgresql://bot:hush-hush@db.example",
        "postgresql://bot:hush-hush@db.example/",
        "postgres://bot:hush-hush@db.example/bot",
        "mysql://bot:hush-hush@db.example/bot?password=hush-hush",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        parse_settings({"DATABASE_URL": url})

    for part in ("hush", "hu@sh", "hu/sh", "hu#sh", "hu?sh"):
        assert part not in str(caught.value)
