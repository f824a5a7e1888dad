"""Story 4: the kill switch. It stops what it says, protects what is open, and fails closed."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner, Run
from tests.databases import Writer, held_lock
from tests.fake_kraken import FakeKraken, Request
from tests.quick import parametrize
from tests.scenarios.steps import (
    buy,
    council_program,
    council_says,
    execute_sql,
    output_of,
    prove_initial_balance,
    requested_endpoints,
    sides,
    trade_of,
)


def halt_file(live: BotRunner) -> Path:
    return live.database.with_name("HALT")


def test_a_paused_tick_guards_stops_and_hears_no_council(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="ETH/USD")
    buy(live)
    council_says(live, "BUY")
    paused = live.json("pause", "--reason", "an upgrade")
    kraken.set_price("BTC/USD", 48999)
    kraken.clear_requests()

    run = live.run("tick")

    assert (paused["system_status"], paused["why"]) == ("PAUSED", "an upgrade")
    assert run.exit_code == 0, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert "OHLC" not in requested_endpoints(kraken)
    assert sides(kraken) == ["buy", "sell"]


def test_a_pause_refuses_buys_and_lets_manual_sells_through(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause")

    bought = live.run("buy", "ETH/USD", "100", "--yes")
    sold = live.run("sell", "BTC/USD", "--yes")

    assert (bought.exit_code, sold.exit_code) == (3, 0), output_of(sold)
    assert "paused" in bought.stderr
    assert sides(kraken) == ["buy", "sell"]


def test_resume_lets_the_council_in_again(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    live.run("pause")
    live.run("tick")
    before = sides(kraken)

    resumed = live.run("resume")
    live.run("tick")

    assert resumed.exit_code == 0
    assert (before, sides(kraken)) == ([], ["buy"])


def test_a_halt_file_pauses_whatever_the_database_says(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    halt_file(live).touch()
    kraken.clear_requests()

    tick, bought, resumed = live.run("tick"), live.run("buy", "BTC/USD", "9", "--yes"), live.run("resume")
    status = live.json("status")

    assert (tick.exit_code, bought.exit_code, resumed.exit_code) == (0, 3, 3)
    assert "HALT" in bought.stderr
    assert "HALT" in resumed.stderr
    assert status["system_status"] == "PAUSED"
    assert sides(kraken) == []
    halt_file(live).unlink()
    assert live.json("status")["system_status"] == "ACTIVE"


@parametrize(
    "damage",
    [
        "DELETE FROM systemconfig WHERE key = 'system_status'",
        "UPDATE systemconfig SET value = '' WHERE key = 'system_status'",
        "UPDATE systemconfig SET value = 'active' WHERE key = 'system_status'",
        "UPDATE systemconfig SET value = 'ACTIVE ' WHERE key = 'system_status'",
        "UPDATE systemconfig SET value = x'00ff' WHERE key = 'system_status'",
        "UPDATE systemconfig SET value = 1 WHERE key = 'system_status'",
        "DELETE FROM systemconfig",
        "DROP TABLE systemconfig",
        "ALTER TABLE systemconfig RENAME COLUMN value TO worth",
    ],
    quick=2,
)
def test_a_switch_that_cannot_be_read_means_paused_and_stops_still_fire(
    live: BotRunner, kraken: FakeKraken, damage: str
) -> None:
    live.set(SYMBOLS="ETH/USD")
    buy(live)
    council_says(live, "BUY")
    execute_sql(live, damage)
    kraken.set_price("BTC/USD", 48999)

    status = live.json("status")
    bought = live.run("buy", "ETH/USD", "100", "--yes")
    kraken.clear_requests()
    tick = live.run("tick")

    assert status["system_status"] == "PAUSED"
    assert bought.exit_code == 3
    if live.server and ("TABLE" in damage):
        assert "backup: " in tick.stderr  # which takes every table, or says so
        assert tick.exit_code == 1, output_of(tick)
    else:
        assert tick.exit_code == 0, output_of(tick)
    assert "OHLC" not in requested_endpoints(kraken)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.parametrize("damage", ["DROP TABLE systemconfig", "DELETE FROM systemconfig"])
def test_a_pause_holds_also_when_the_switch_is_broken(live: BotRunner, damage: str) -> None:
    execute_sql(live, damage)

    run = live.run("pause")

    assert run.exit_code == 0, output_of(run)
    assert live.json("status")["system_status"] == "PAUSED"


def test_a_missing_buy_flag_means_no_buys(live: BotRunner, kraken: FakeKraken) -> None:
    execute_sql(live, "DELETE FROM systemconfig WHERE key = 'buy_enabled'")

    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 3
    assert sides(kraken) == []


# Frozen


@pytest.mark.usefixtures("bent_time")
def test_a_freeze_stops_stops_and_manual_sells_and_says_so_loudly(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    prove_initial_balance(live)
    frozen = live.run("pause", "--freeze")
    kraken.set_price("BTC/USD", 40000)
    kraken.balances["ZUSD"] = kraken.balances["ZUSD"] / 2  # deep enough for the drawdown guard

    tick, sold, checked = live.run("tick"), live.run("sell", "BTC/USD", "--yes"), live.run("check-positions")
    guard, bought, status = live.run("drawdown"), live.run("buy", "ETH/USD", "9", "--yes"), live.run("status")

    assert frozen.exit_code == 0
    assert [run.exit_code for run in (sold, checked, bought)] == [3, 3, 3]
    assert "NOT guarded" in frozen.stderr
    assert "unguarded" in tick.stderr
    assert "NOT guarded" in status.stderr
    assert "only reported" in guard.stderr
    assert sides(kraken) == ["buy"]
    assert live.json("status")["frozen"] is True


def test_a_thaw_guards_again(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause", "--freeze")
    kraken.set_price("BTC/USD", 48999)
    live.run("tick")
    before = sides(kraken)

    live.run("resume")
    live.run("check-positions")

    assert (before, sides(kraken)) == (["buy"], ["buy", "sell"])


# The switch while the Council sits


@parametrize(
    "pull",
    [
        "import subprocess; subprocess.run([sys.executable, '-m', 'botctl', 'pause'], check=True, stdout=2)",
        "open('{halt}', 'w').close()",
    ],
    quick=1,
    ids=["pause", "HALT"],
)
def test_a_switch_pulled_while_the_council_sits_stops_the_entry(live: BotRunner, kraken: FakeKraken, pull: str) -> None:
    live.set(COUNCIL_ENV="BOTCTL_HOME,BOTCTL_MODE")
    council_says(live, "BUY", pull.format(halt=halt_file(live)))

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert "paused while the Council decided" in run.stderr
    assert sides(kraken) == []
    assert live.json("status")["system_status"] == "PAUSED"


def test_a_switch_pulled_while_an_entry_is_prepared_stops_it(live: BotRunner, kraken: FakeKraken) -> None:
    """The last look at the switch comes after the entry's price."""
    council_says(live, "BUY")

    def pull(_request: Request) -> None:
        if requested_endpoints(kraken).count("Ticker") == 2:
            halt_file(live).touch()

    kraken.clear_requests()
    kraken.before = pull
    run = live.run("tick")

    assert requested_endpoints(kraken).count("Ticker") == 2, output_of(run)
    assert requested_endpoints(kraken).count("OHLC") == 1  # the Council's candles are the ATR's
    assert "paused" in live.json("why", "BTC/USD")[0]["outcome"]
    assert sides(kraken) == []


@pytest.mark.long
def test_a_freeze_while_the_council_sits_stops_its_sell_too(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.set(COUNCIL_ENV="BOTCTL_HOME,BOTCTL_MODE")
    freeze = "import subprocess; subprocess.run([sys.executable, '-m', 'botctl', 'pause', '--freeze'], stdout=2)"
    council_program(live, freeze, "print(json.dumps({'decision': 'SELL', 'reason': 'told so'}))")

    live.run("tick")

    assert sides(kraken) == ["buy"]


# The switch while an order is about to be written down

PULLS = {
    "paused": "UPDATE systemconfig SET value = 'PAUSED' WHERE key = 'system_status'",
    "frozen": "UPDATE systemconfig SET value = 'true' WHERE key = 'frozen'",
    "disabled": "UPDATE systemconfig SET value = 'false' WHERE key = 'buy_enabled'",
    "tripped": "UPDATE systemconfig SET value = '2026-11-24T12:00:00+00:00' WHERE key = 'tripped_at'",
}


def while_it_waits_to_write(live: BotRunner, kraken: FakeKraken, *statements: str, halt: bool = False) -> None:
    """After its last look at prices the run must wait for another process, whose changes are committed first."""
    other = Writer(live.where)

    def pull(request: Request) -> None:
        if request.endpoint == "Ticker":
            other.take(*statements, commit_after=0.5)
            if halt:
                halt_file(live).touch()

    kraken.after = pull


@pytest.mark.parametrize("pull", [*PULLS, "HALT"])
def test_a_switch_pulled_before_the_buy_is_written_down_stops_it(
    live: BotRunner, kraken: FakeKraken, pull: str
) -> None:
    statements = [PULLS[pull]] if pull in PULLS else []
    while_it_waits_to_write(live, kraken, *statements, halt=pull == "HALT")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert pull in run.stderr
    assert kraken.count("AddOrder") == 0
    assert live.trades() == []


def test_a_trade_that_another_process_opens_before_the_buy_is_written_down_counts(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(MAX_OPEN_TRADES="1")
    trade = "'ETH/USD', 'ETH', 'live', 'PENDING', '2026-11-24T12:00:00+00:00', '1', '0', '0', '0', '00000000a'"
    columns = "symbol, asset, mode, status, created_at, amount, sold_amount, exit_proceeds, exit_fee, mark"
    while_it_waits_to_write(live, kraken, f"INSERT INTO trade ({columns}) VALUES ({trade})")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert "MAX_OPEN_TRADES is 1" in run.stderr
    assert kraken.count("AddOrder") == 0


def test_a_freeze_between_two_attempts_stops_the_second(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.clear_requests()
    kraken.fault("AddOrder", "error", error="EGeneral:Invalid arguments:deadline")

    def pull(request: Request) -> None:
        if request.endpoint == "AddOrder":
            execute_sql(live, PULLS["frozen"])

    kraken.before = pull
    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 3, output_of(run)
    assert kraken.count("AddOrder") == 1
    assert sides(kraken) == ["buy"]


def test_a_freeze_before_the_sell_is_written_down_stops_it_and_no_liquidation(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    while_it_waits_to_write(live, kraken, PULLS["frozen"])

    sold = live.run("sell", "BTC/USD", "--yes")
    before = sides(kraken)
    liquidated = live.run("liquidate", "--yes")

    assert (sold.exit_code, liquidated.exit_code) == (3, 0), output_of(sold) + output_of(liquidated)
    assert "frozen" in sold.stderr
    assert (before, sides(kraken)) == (["buy"], ["buy", "sell"])


# One run at a time


def test_a_second_tick_ends_at_once_with_one_line(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "HOLD")
    second: list[tuple[Run, float]] = []

    def tick_again(request: Request) -> None:
        if request.endpoint == "BalanceEx" and not second:
            started = time.monotonic()
            second.append((live.process("tick"), time.monotonic() - started))

    kraken.before = tick_again
    first = live.run("tick")
    [(run, seconds)] = second

    assert first.exit_code == 0, output_of(first)
    assert (run.exit_code, run.stdout) == (75, "")
    assert len(run.stderr.splitlines()) == 1
    assert "another run" in run.stderr
    assert seconds < 20  # the start of an interpreter, and no wait of 30 seconds
    assert requested_endpoints(kraken).count("BalanceEx") == 1


def test_a_manual_command_waits_for_the_lock(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    other = ExitStack()
    other.enter_context(held_lock(live.where))
    started = time.monotonic()
    threading.Timer(0.4, other.close).start()

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, output_of(run)
    assert time.monotonic() - started >= 0.4
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.parametrize(
    "arguments", [("pause",), ("pause", "--freeze"), ("resume",), ("status",), ("positions",), ("trades",)]
)
def test_the_switch_and_looking_need_no_lock(live: BotRunner, arguments: tuple[str, ...]) -> None:
    with held_lock(live.where):
        started = time.monotonic()
        run = live.run(*arguments)

    assert run.exit_code == 0, output_of(run)
    assert time.monotonic() - started < 20  # who needs it waits 30 seconds


@pytest.mark.sqlite("a server's lock is no file")
def test_a_lock_file_left_behind_locks_nothing(live: BotRunner) -> None:
    live.database.with_name("live.db.lock").write_text("12345")
    live.run("pause")

    assert live.run("tick").exit_code == 0


# The wrong database

COMMANDS = ["tick", "status", "pause", "resume", "positions", "check-positions", "drawdown", "orders"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_live_database_is_an_error_and_none_is_made(
    live: BotRunner, kraken: FakeKraken, command: str, tmp_path: Path
) -> None:
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    live.set(BOTCTL_HOME=str(empty))
    if live.server:
        live.set(DATABASE_URL=live.server.new_database())

    run = live.run(command)

    assert run.exit_code == 78, output_of(run)
    assert "no live database" in run.stderr
    assert "init" in run.stderr
    assert list(empty.iterdir()) == []
    assert requested_endpoints(kraken) == []


@pytest.mark.parametrize("command", ["tick", "status", "positions", "resume", "check-positions"])
@pytest.mark.parametrize("mode", ["demo", "paper"])
def test_a_database_of_another_mode_is_not_opened(live: BotRunner, kraken: FakeKraken, mode: str, command: str) -> None:
    live.set(BOTCTL_MODE=mode, DATABASE_URL=live.url_of("live") if live.server else "sqlite:///data/live.db")

    run = live.run(command)

    assert run.exit_code == 78, output_of(run)
    assert "live database" in run.stderr
    assert requested_endpoints(kraken) == []
