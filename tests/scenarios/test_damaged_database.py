"""A database that is damaged or gone: it is told from a sound one, moved aside whole, and rebuilt all or not at all."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from botctl.store.location import SqliteFile
from tests.bot_runner import PROJECT, BotRunner
from tests.chaos.invariants import SETTLED, check
from tests.chaos.processes import End, Processes
from tests.chaos.world import World
from tests.cli.assertions import check_error, files_in
from tests.corruption import damage as spoil
from tests.fake_kraken import FakeKraken
from tests.postgres import Server
from tests.quick import parametrize
from tests.scenarios.database_loss import all_trades, damage, reconciled, recover
from tests.scenarios.journal_tools import only
from tests.scenarios.steps import buy, output_of

about_the_file = pytest.mark.sqlite("a server looks after its own files")


@pytest.fixture
def world(database_server: Server | None) -> Iterator[World]:
    """A live home with two open trades, whose runs can be killed at any commit."""
    with Processes() as processes:
        world = World(processes, server=database_server)
        world.must("init")
        for symbol in ("BTC/USD", "ETH/USD"):
            world.must("buy", symbol, "100", "--yes")
        yield world
        world.close()


def lose_database(world: World) -> None:
    """The disk is gone, and botctl set up anew."""
    if world.server:
        world.server.drop(world.settings["DATABASE_URL"])
        world.server.new_database(name=world.settings["DATABASE_URL"])
    else:
        world.database.unlink()
    world.must("init")
    world.must("balance")  # caches are warm: fewer commits to be killed at


def asides(live: BotRunner) -> list[Path]:
    return sorted(live.database.parent.glob("live.db.damaged-*"))


# Sound or not


@about_the_file
def test_a_database_in_use_is_sound(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.open_store()  # with its -wal

    assert SqliteFile(live.database).find_damage() is None


@about_the_file
def test_looking_at_a_database_leaves_nothing_beside_it(live: BotRunner, kraken: FakeKraken) -> None:
    before = files_in(live.home)

    assert SqliteFile(live.database).find_damage() is None
    assert files_in(live.home) == before


@about_the_file
@pytest.mark.parametrize("header", [True, False])
def test_garbage_is_complained_of(live: BotRunner, kraken: FakeKraken, header: bool) -> None:
    buy(live)
    damage(live, header=header)
    before = files_in(live.home)

    assert SqliteFile(live.database).find_damage() is not None
    assert files_in(live.home) == before


@about_the_file
def test_a_file_that_was_cut_off_is_complained_of(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    whole = live.database.read_bytes()
    live.database.write_bytes(whole[: len(whole) // 2])

    assert SqliteFile(live.database).find_damage() is not None


# Damaged


@about_the_file
@pytest.mark.parametrize("header", [True, False])
def test_a_damaged_database_is_moved_aside_whole_and_rebuilt(live: BotRunner, kraken: FakeKraken, header: bool) -> None:
    buy(live)
    [lost] = all_trades(live)
    content = damage(live, header=header)

    run = live.run("recover", "--apply", "--yes")

    assert run.exit_code == 0, output_of(run)
    [aside] = asides(live)
    assert aside.read_bytes() == content
    assert "is damaged" in run.stderr
    assert str(aside) in run.stderr
    [trade] = all_trades(live)
    assert {name: trade[name] for name in ("id", "mark", "amount", "entry_cost", "stop_loss_price")} == {
        name: lost[name] for name in ("id", "mark", "amount", "entry_cost", "stop_loss_price")
    }
    assert live.json("status")["system_status"] == "PAUSED"
    assert reconciled(live).exit_code == 0
    assert {path.name for path in live.database.parent.iterdir()} == {
        "live.db",
        "live.db.lock",
        "live.db.last-run",
        "live.db.reserve",
        aside.name,
    }
    assert live.database.stat().st_mode & 0o077 == 0


@about_the_file
def test_without_apply_a_damaged_database_is_left_as_it_lies(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    damage(live)
    before = files_in(live.home)

    run = live.run("recover", "--json")

    assert run.exit_code == 0, output_of(run)
    assert [row["action"] for row in run.json()["actions"]] == ["add"]
    assert files_in(live.home) == before


@pytest.mark.usefixtures("bent_time")
@about_the_file
def test_a_rebuild_that_fails_leaves_a_damaged_database_as_it_lies(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    damage(live)
    before = files_in(live.home)
    kraken.fault("ClosedOrders", "truncated", times=20)

    run = live.run("recover", "--apply", "--yes")

    assert run.exit_code == 69
    assert files_in(live.home) == before


@about_the_file
def test_a_fresh_database_is_paused_also_when_nothing_was_open(live: BotRunner, kraken: FakeKraken) -> None:
    """The damaged one may have held a tripped guard or a pause."""
    buy(live)
    live.run("sell", "BTC/USD", "--yes")
    damage(live)

    recover(live)

    assert live.trades() == []
    assert live.json("status")["system_status"] == "PAUSED"


@about_the_file
def test_what_the_paper_broker_knew_cannot_be_rebuilt(veteran_paper: BotRunner) -> None:
    content = damage(veteran_paper)

    for options in ((), ("--apply", "--yes")):
        check_error(veteran_paper.run("recover", *options), 78, "damaged", "paper broker", "backup")

    assert veteran_paper.database.read_bytes() == content


@pytest.fixture
def veteran_paper(bot: BotRunner) -> BotRunner:
    """A demo home that has played some ticks."""
    for _ in range(3):
        assert bot.run("tick").exit_code == 0
    return bot


# Gone


@pytest.mark.parametrize("options", [(), ("--apply", "--yes")])
def test_a_missing_live_database_is_made_by_init_alone(
    live: BotRunner, kraken: FakeKraken, options: tuple[str, ...]
) -> None:
    if live.server:
        live.set(DATABASE_URL=live.url_of("demo"))  # an empty one
    else:
        live.database.unlink()

    check_error(live.run("recover", *options), 78, "`botctl init`", "`botctl recover --apply`")

    assert not live.database.exists()


def test_a_missing_database_of_the_paper_broker_cannot_be_rebuilt(bot: BotRunner) -> None:
    check_error(bot.run("recover"), 78, "no demo database", "backup")

    assert not bot.database.exists()


# Killed


@pytest.mark.long
def test_a_run_killed_at_any_commit_rebuilds_all_or_nothing(world: World) -> None:
    lose_database(world)
    commits = world.count("recover", "--apply", "--yes")["commits"]
    states = []
    for when, number in itertools.product(("before", "after"), range(1, commits + 1)):
        lose_database(world)
        run = world.run("recover", "--apply", "--yes", end=End(when, number))
        assert run.exit_code == -signal.SIGKILL, run.words
        states.append(state_of(world))
        left = world.must("recover", "--json").json()["actions"]
        assert len(left) == (2 if states[-1] == NOTHING else 0)

    assert commits > 2
    assert set(states) == {NOTHING, ALL}


NOTHING, ALL = (0, 0, "ACTIVE"), (2, 2, "PAUSED")
"""Trades, orders and switch."""


def state_of(world: World) -> tuple[int, int, str]:
    rows = [len(world.must(command, "--json").json()) for command in ("positions", "orders")]
    return rows[0], rows[1], world.must("status", "--json").json()["system_status"]


@pytest.mark.long
def test_all_that_always_holds_holds_in_a_rebuilt_database(world: World) -> None:
    world.must("sell", "BTC/USD", "0.0005", "--yes")
    lose_database(world)
    world.must("recover", "--apply", "--yes")
    world.kraken.set_price("ETH/USD", 2600)
    world.must("check-positions")

    check(world, SETTLED)


@pytest.mark.long
@about_the_file
@parametrize("call", ["rename", "replace"], quick=1)
def test_a_run_killed_while_the_databases_change_places_can_be_run_again(
    live: BotRunner, kraken: FakeKraken, call: str
) -> None:
    buy(live)
    content = damage(live)

    died = die_at(live, call)

    assert died == -signal.SIGKILL
    if live.database.exists():
        assert live.database.read_bytes() == content
    else:
        check_error(live.run("tick"), 78, "`botctl init`")
        assert live.run("init").exit_code == 0
    recover(live)
    assert only(live.positions())["symbol"] == "BTC/USD"
    assert [path.read_bytes() for path in asides(live)] == [content]


def die_at(live: BotRunner, call: str) -> int:
    """`recover --apply` as a process that SIGKILL ends right at this call of the operating system."""
    script = (
        "import os, signal, sys\n"
        f"os.{call} = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.argv = ['botctl', 'recover', '--apply', '--yes']\n"
        "from botctl.cli.app import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False).returncode


@about_the_file
def test_a_left_over_wal_of_the_damaged_database_does_no_harm(live: BotRunner, kraken: FakeKraken) -> None:
    """What a run leaves that dies after the first of its three renames."""
    buy(live)
    with closing(sqlite3.connect(live.database)) as in_use:
        in_use.execute("UPDATE trade SET amount = '7'")
        in_use.commit()
        wal = Path(f"{live.database}-wal").read_bytes()
    live.database.unlink()
    Path(f"{live.database}-wal").write_bytes(wal)

    assert live.run("init").exit_code == 0
    recover(live)

    assert float(only(live.positions())["amount"]) == 0.002


# When a buy checks the file


@pytest.mark.sqlite("a server checks its own files")
def test_a_buy_checks_the_file_once_a_day_and_after_a_run_that_was_cut_off(live: BotRunner, kraken: FakeKraken) -> None:
    """The check reads the whole file, which takes seconds once it is large."""
    live.set(COOLDOWN_MINUTES="0")
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 0  # checks it
    spoil(live.database, "decision")
    unchecked = live.run("buy", "ETH/USD", "100", "--yes")
    live.run("sell", "ETH/USD", "--yes")
    with closing(sqlite3.connect(live.database)) as cut_off:
        cut_off.execute("PRAGMA journal_mode = WAL")
        cut_off.execute("UPDATE trade SET atr = atr + 1")
        cut_off.commit()
        log = Path(f"{live.database}-wal")
        left = log.read_bytes()
    log.write_bytes(left)  # as a killed process leaves it

    checked = live.run("buy", "ETH/USD", "100", "--yes")

    assert unchecked.exit_code == 0, output_of(unchecked)
    check_error(checked, 78, "is damaged")
