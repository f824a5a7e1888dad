"""One bad value is one problem: the row that holds it is named, and all others are guarded and shown."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from botctl.cli.app import run_command
from botctl.store.database import close_database
from tests.bot_runner import BotRunner
from tests.conftest import live_settings, set_market
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.server import KrakenSnapshot
from tests.quick import parametrize
from tests.scenarios.steps import council_says, execute_sql, output_of, prove_initial_balance, sides

pytestmark = [pytest.mark.usefixtures("bent_time"), pytest.mark.sqlite("it writes what a server's types refuse")]

NOT_UTF8 = "CAST(x'ff41' AS TEXT)"
BAD_TRADES = [
    ("symbol", NOT_UTF8),
    ("symbol", "x'ff41'"),
    ("stop_loss_price", "'abc'"),
    ("amount", "'abc'"),
    ("status", "'OPNE'"),
    ("amount", "'NaN'"),
    ("stop_loss_price", "9e999"),
    ("entry_time", "'yesterday'"),
    ("exiting", "'BORED'"),
    ("entry_price", "NULL"),
    ("stop_loss_price", "-5"),
    ("stop_loss_price", "NULL"),
    ("atr", "'abc'"),
    ("atr", "NULL"),
    ("high_price", "x'00ff'"),
    ("entry_price", "'Infinity'"),
    ("entry_fee", "'1,5'"),
    ("amount", "'-1'"),
    ("amount", "x'00'"),
    ("sold_amount", "'abc'"),
    ("checked_at", "'2026-11-27 12:00'"),
    ("created_at", "17"),
    ("symbol", "'BTC'"),
    ("symbol", "''"),
    ("asset", "'DOGE'"),
    ("asset", NOT_UTF8),
    ("stop_loss_price", NOT_UTF8),
    ("seen_at", "'never'"),
]


@pytest.fixture(scope="module")
def bought(live_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, KrakenSnapshot]:
    """The home of a live bot that has bought twice, and Kraken after it."""
    home = tmp_path_factory.mktemp("bought") / "home"
    shutil.copytree(live_home, home)
    with FakeKraken() as kraken, pytest.MonkeyPatch.context() as patch:
        set_market(kraken)
        kraken.set_price("ETH/USD", 2500)
        kraken.flat_candles("ETH/USD", 2500, 25)
        for name, value in {"BOTCTL_HOME": str(home), **live_settings(kraken)}.items():
            patch.setenv(name, value)
        for symbol in ("BTC/USD", "ETH/USD"):
            assert run_command(["buy", symbol, "100", "--yes"]) == 0
            close_database()
        return home, kraken.snapshot()


@pytest.fixture
def two(live: BotRunner, kraken: FakeKraken, bought: tuple[Path, KrakenSnapshot]) -> BotRunner:
    """Two open trades; the first will be broken."""
    home, exchange = bought
    shutil.copytree(home, live.home, dirs_exist_ok=True)
    kraken.restore(exchange)
    council_says(live, "HOLD")
    return live


def break_trade(two: BotRunner, column: str, value: str) -> None:
    execute_sql(two, f"UPDATE trade SET {column} = {value} WHERE id = 1")


def column_of(two: BotRunner, trade_id: int, column: int) -> str:
    return str(next(row[column] for row in two.rows()["trade"] if row[0] == trade_id))


def status_of(two: BotRunner, trade_id: int) -> str:
    return column_of(two, trade_id, 4)


@parametrize(("column", "value"), BAD_TRADES, quick=2)
@pytest.mark.parametrize("command", ["tick", pytest.param("check-positions", marks=pytest.mark.long)])
def test_the_hit_stop_of_the_other_trade_is_sold_and_the_bad_one_is_named(
    two: BotRunner, kraken: FakeKraken, command: str, column: str, value: str
) -> None:
    break_trade(two, column, value)
    kraken.set_price("ETH/USD", 2440)

    run = two.run(command)

    assert status_of(two, 2) == "CLOSED", output_of(run)
    assert sides(kraken) == ["buy", "buy", "sell"]
    assert run.exit_code in (1, 78), output_of(run)
    assert "trade 1" in run.stderr
    assert "bug:" not in run.stderr
    assert "Traceback" not in output_of(run)


@parametrize(("column", "value"), BAD_TRADES, quick=2)
def test_liquidate_sells_all_others_and_says_which_one_it_could_not(
    two: BotRunner, kraken: FakeKraken, column: str, value: str
) -> None:
    break_trade(two, column, value)

    run = two.run("liquidate", "--yes")

    assert status_of(two, 2) == "CLOSED", output_of(run)
    if status_of(two, 1) == "CLOSED":  # it needs neither stop nor ATR
        assert value == "NULL"
        return
    assert run.exit_code != 0
    assert "trade 1" in run.stderr
    assert "bug:" not in run.stderr


@parametrize(("column", "value"), BAD_TRADES, quick=1)
def test_a_bad_row_trips_no_guard_and_disarms_none(two: BotRunner, kraken: FakeKraken, column: str, value: str) -> None:
    assert two.run("tick").exit_code == 0
    break_trade(two, column, value)

    calm = [two.run("tick"), two.run("drawdown")]
    tripped = status_of(two, 2)
    two.set(INITIAL_BALANCE="100000")
    prove_initial_balance(two, "100000")
    crash = two.run("drawdown")

    assert tripped == "OPEN", output_of(calm[0])
    assert 3 not in [run.exit_code for run in calm]
    assert status_of(two, 2) == "CLOSED", output_of(crash)


@parametrize(("column", "value"), BAD_TRADES, quick=1)
@parametrize("command", ["positions", "status", "report", "trades", "log", "orders"], quick=3)
def test_commands_that_look_show_the_others_and_name_it(two: BotRunner, column: str, value: str, command: str) -> None:
    break_trade(two, column, value)
    arguments = [command, "--json"] if command != "report" else ["report", "--output", "page.html"]

    run = two.run(*arguments)

    assert "Traceback" not in output_of(run)
    assert "bug:" not in output_of(run)
    assert run.exit_code in (0, 78), output_of(run)
    if command in ("positions", "status") and value != "NULL":
        assert run.exit_code == 78, output_of(run)
        assert "trade 1" in run.stderr
    if command == "positions":
        assert 2 in [row["id"] for row in json.loads(run.stdout)]


@parametrize(("column", "value"), BAD_TRADES, quick=1)
def test_the_check_of_the_database_names_it_as_the_runs_promise(two: BotRunner, column: str, value: str) -> None:
    break_trade(two, column, value)

    run = two.run("db", "check")

    assert run.exit_code == 1, output_of(run)
    assert "trade 1" in run.stdout


def test_the_doctor_names_it(two: BotRunner) -> None:
    break_trade(two, "stop_loss_price", "'abc'")

    run = two.run("doctor")

    assert run.exit_code == 1
    assert "trade 1 (BTC/USD) can't be read" in output_of(run)


def test_nothing_is_bought_while_a_row_cannot_be_read(two: BotRunner, kraken: FakeKraken) -> None:
    break_trade(two, "stop_loss_price", "'abc'")
    kraken.set_price("SOL/USD", 100)
    kraken.flat_candles("SOL/USD", 100, 1)
    two.set(SYMBOLS="SOL/USD")
    council_says(two, "BUY")

    ticked, bought = two.run("tick"), two.run("buy", "SOL/USD", "100", "--yes")

    assert (ticked.exit_code, bought.exit_code) == (78, 78), output_of(ticked)
    assert sides(kraken) == ["buy", "buy"]


@pytest.mark.long
def test_the_alarm_names_a_trade_that_nobody_guards(two: BotRunner) -> None:
    two.set(NOTIFY_URLS="json://127.0.0.1:9/")
    break_trade(two, "stop_loss_price", "'abc'")

    two.run("tick")

    assert "trade 1 (BTC/USD) can't be read: stop_loss_price is 'abc'" in " ".join(map(str, two.rows()["alarm"]))


# Orders and events

BAD_ORDERS = [
    ("client_order_id", NOT_UTF8),
    ("state", "'FOO'"),
    ("amount", "'abc'"),
    ("cost", "'NaN'"),
    ("deadline", "'soon'"),
    ("side", "'hold'"),
    ("settled_at", "5"),
    ("created_at", "'x'"),
]


@parametrize(("column", "value"), BAD_ORDERS, quick=1)
def test_a_bad_order_of_one_trade_stops_no_other(two: BotRunner, kraken: FakeKraken, column: str, value: str) -> None:
    execute_sql(two, f'UPDATE "order" SET {column} = {value} WHERE trade_id = 1')
    kraken.set_price("ETH/USD", 2440)

    run = two.run("tick")

    assert status_of(two, 2) == "CLOSED", output_of(run)
    assert "bug:" not in run.stderr
    for command in ("orders", "status", "trades", "positions", "explain 1", "reconcile"):
        shown = two.run(*command.split())
        assert "bug:" not in output_of(shown), command
        assert "Traceback" not in output_of(shown), command


def test_a_trade_with_an_order_of_a_state_that_nobody_knows_is_not_sold_twice(
    two: BotRunner, kraken: FakeKraken
) -> None:
    execute_sql(two, "UPDATE \"order\" SET state = 'FOO' WHERE trade_id = 1")
    kraken.set_price("BTC/USD", 48999)

    run = two.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert "order 1 of trade 1 can't be read: state is 'FOO'" in run.stderr
    assert sides(kraken) == ["buy", "buy"]


@pytest.mark.long
@parametrize("value", ["'{'", "7", "'[1]'", "'null'", NOT_UTF8], quick=1)
def test_a_bad_event_or_tick_stops_nothing(two: BotRunner, kraken: FakeKraken, value: str) -> None:
    two.run("tick")
    execute_sql(two, f"UPDATE event SET after = {value}")
    execute_sql(two, f"UPDATE tick SET steps = {value}")
    execute_sql(two, f"UPDATE decision SET verdicts = {value}")
    kraken.set_price("ETH/USD", 2440)

    run = two.run("tick")

    assert status_of(two, 2) == "CLOSED", output_of(run)
    assert run.exit_code == 0, output_of(run)
    for command in ("log", "explain 1", "explain 2", "status", "why BTC/USD", "report --output page.html"):
        shown = two.run(*command.split())
        assert "bug:" not in output_of(shown), output_of(shown)
        assert "Traceback" not in output_of(shown), command


# Caches


@pytest.mark.long
@parametrize(
    "value",
    ['\'{"a newer version": {"knows": 1}}\'', "'garbage {'", "'[[1]]'", "x'00ff'", "'null'", "''", "'-1e999'", "'NaN'"],
    quick=1,
)
def test_caches_that_do_not_parse_are_as_if_absent(two: BotRunner, kraken: FakeKraken, value: str) -> None:
    assert two.run("tick").exit_code == 0
    execute_sql(two, f"UPDATE memory SET value = {value} WHERE key NOT LIKE 'demo%'")
    kraken.set_price("ETH/USD", 2440)

    run = two.run("tick")
    calm = two.run("tick")

    assert status_of(two, 2) == "CLOSED", output_of(run)
    assert "bug:" not in run.stderr
    assert (run.exit_code, calm.exit_code) == (0, 0), output_of(calm)


def test_caches_of_a_moment_that_cannot_be_read_are_as_if_absent(two: BotRunner, kraken: FakeKraken) -> None:
    assert two.run("tick").exit_code == 0
    execute_sql(two, "UPDATE memory SET saved_at = 'noon'")
    kraken.set_price("ETH/USD", 2440)

    run = two.run("tick")

    assert status_of(two, 2) == "CLOSED", output_of(run)
    assert run.exit_code == 0, output_of(run)


def test_a_newer_versions_session_keeps_its_nonce(two: BotRunner, kraken: FakeKraken) -> None:
    [text] = [row[2] for row in two.rows()["memory"] if row[1] == "kraken.session"]
    state = json.loads(text) | {"burst": [1], "counter": "many"}
    execute_sql(two, f"UPDATE memory SET value = '{json.dumps(state)}' WHERE key = 'kraken.session'")

    run = two.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    [text] = [row[2] for row in two.rows()["memory"] if row[1] == "kraken.session"]
    assert json.loads(text)["nonce"] > state["nonce"]
    assert Decimal(str(json.loads(text)["counter"])) < 15
