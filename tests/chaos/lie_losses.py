"""Runs that are stopped or killed, and databases and markets that are not what they were yesterday."""

import shutil
import signal
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from tests.chaos.lie_families import MODES, Family, factor_of, keep_promise, play_amid
from tests.chaos.lie_stories import (
    BTC,
    DAY,
    ETH,
    ORDERING,
    SITUATIONS,
    TERMS,
    Situation,
    Story,
    prepare_both,
    prepare_eth,
    prepare_money,
    story,
)
from tests.chaos.processes import End, Run
from tests.chaos.scenes import ENTRY, Stage, check_words
from tests.chaos.world import CALM_WAIT_SECONDS, QUARTER, World
from tests.fake_kraken import Order, Request
from tests.fake_kraken.lies import WrongTicker

STOPPED_SECONDS = 1200.0
MEANWHILE: Mapping[str, Callable[[Story], None]] = MappingProxyType(
    {
        "nothing happens": lambda _: None,
        "it falls below the stop": lambda told: told.move(BTC, 48500),
        "it falls by 40 %": lambda told: told.move(BTC, 30000),
        "it rises by 4 %": lambda told: told.move(BTC, 52000),
        "it rises by half": lambda told: told.move(BTC, 75000),
    }
)


def play_stopped(stage: Stage, situation: str, boundary: str, number: str, meanwhile: str) -> None:
    """The run is stopped at one of its requests, and goes on twenty minutes later in another world."""
    chosen, stop_at, seen = SITUATIONS[situation], int(number.split()[1]), 0
    with story(stage, chosen.prepare) as told:
        chosen.begin(told)
        kraken = told.world.kraken

        def count(_request: Request) -> None:
            nonlocal seen
            seen += 1
            if seen == stop_at:
                told.world.processes.stop_current()
                told.pass_time(STOPPED_SECONDS)
                MEANWHILE[meanwhile](told)
                told.world.processes.end_current(signal.SIGCONT)

        if boundary == "before it is processed":
            kraken.before = count
        else:
            kraken.after = count
        told.run(*chosen.arguments)
        told.end()


def play_stopped_at_a_statement(stage: Stage, situation: str, number: str, meanwhile: str) -> None:
    """The run is stopped before one of its statements."""
    chosen = SITUATIONS[situation]
    with story(stage, chosen.prepare) as told:
        chosen.begin(told)
        end = End("statement", int(number.split()[1]), signal.SIGSTOP)
        process = told.world.start(*chosen.arguments, end=end, wait_seconds=CALM_WAIT_SECONDS)
        if process.wait_until_stopped():
            told.pass_time(STOPPED_SECONDS)
            MEANWHILE[meanwhile](told)
            process.go_on()
        check_words(process.wait())
        told.end()


def play_killed(stage: Stage, situation: str, mode: str) -> None:
    """The run is killed once Kraken has its first order, and the order hangs: later runs settle it."""
    chosen = SITUATIONS[situation]
    with story(stage, chosen.prepare) as told:
        chosen.begin(told)
        world = told.world
        world.kraken.account.fill_mode = MODES[mode]
        world.kraken.after = lambda request: (
            world.processes.end_current(signal.SIGKILL) if request.endpoint == "AddOrder" else None
        )
        world.run(*chosen.arguments, wait_seconds=CALM_WAIT_SECONDS)
        world.kraken.after = None
        world.council_is_silent()
        for _ in range(2):
            told.pass_time(QUARTER)
            told.run("tick")
        told.end()


STOPS: tuple[Family, ...] = (
    Family(
        "stopped at a request",
        (
            tuple(SITUATIONS),
            ("before it is processed", "after it is processed"),
            tuple(f"request {number}" for number in range(1, 10)),
            tuple(MEANWHILE),
        ),
        play_stopped,
    ),
    Family(
        "stopped at a statement",
        (tuple(SITUATIONS), tuple(f"statement {number}" for number in range(1, 60)), tuple(MEANWHILE)),
        play_stopped_at_a_statement,
    ),
    Family("killed with a hanging order", (ORDERING, tuple(MODES)), play_killed),
)


# The owner's coins


def prepare_riches(world: World) -> None:
    """A trade, and most of the account is the owner's other coins."""
    prepare_money(world)
    world.owner_holds("BTC", Decimal(1))
    world.must("buy", ETH, f"{ENTRY}", "--yes")
    world.settings["INITIAL_BALANCE"] = "60000"
    world.must("drawdown")


def play_riches(stage: Stage, figures: str, factor: str, term: str) -> None:
    """Their price is told wrong. The drawdown guard must not sell everything for that."""
    rich = Situation(prepare_riches, ("tick",))
    play_amid(stage, rich, term, lambda _: [WrongTicker(BTC, figures, factor_of(factor))], untouched=True)


RICHES: tuple[Family, ...] = (
    Family("prices of the owner's coins", (("c", "abc"), ("/1000", "/10", "/2"), TERMS), play_riches),
)


# Databases: files only


def back_up(world: World) -> Path:
    backup = world.folder / "yesterday.db"
    with closing(sqlite3.connect(world.database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    return backup


def lose(world: World) -> None:
    for suffix in ("", "-wal", "-shm"):
        world.database.with_name(world.database.name + suffix).unlink(missing_ok=True)


def put_back(world: World, backup: Path) -> None:
    lose(world)
    shutil.copy(backup, world.database)
    world.database.chmod(0o600)


def run_plain(world: World, *arguments: str) -> Run:
    """A run while the journal is not what it should be."""
    run = world.run(*arguments, wait_seconds=CALM_WAIT_SECONDS)
    check_words(run)
    return run


def orders_of(world: World, symbol: str) -> list[Order]:
    return [order for order in world.kraken.orders if order.symbol == symbol]


LOST_ORDERS: Mapping[str, tuple[Callable[[World], None], tuple[str, ...]]] = MappingProxyType(
    {
        "a buy": (prepare_eth, ("buy", BTC, "100", "--yes")),
        "a sell": (prepare_both, ("sell", BTC, "--yes")),
        "a sell of a part": (prepare_both, ("sell", BTC, "0.001", "--yes")),
    }
)
AFTERWARDS: Mapping[str, Callable[[Story], None]] = MappingProxyType(
    {
        "nothing happens": lambda _: None,
        "it falls below the stop": lambda told: told.move(BTC, 48500),
        "the Council says BUY": lambda told: told.world.council_says("BUY"),
        "the Council says SELL": lambda told: told.world.council_says("SELL"),
    }
)


def check_held_back(told: Story, symbol: str = BTC) -> None:
    """A tick sends nothing for the asset whose orders are unknown, and says so; the other symbol goes on."""
    world = told.world
    before = len(orders_of(world, symbol))
    run = run_plain(world, "tick")
    keep_promise("nothing_is_traded_of_what_the_journal_lacks", len(orders_of(world, symbol)) == before, run.words)
    keep_promise("what_is_not_settled_is_said", run.exit_code != 0, run.words)


def end_by_recovery(told: Story) -> None:
    world = told.world
    world.council_is_silent()
    recovered = run_plain(world, "recover", "--apply", "--yes")
    keep_promise("recover_ends_with_0", recovered.exit_code == 0, recovered.words)
    told.end()


def play_yesterday(stage: Stage, lost: str, gap: str, afterwards: str) -> None:
    """A backup from before an order was put back."""
    prepare, arguments = LOST_ORDERS[lost]
    with story(stage, prepare) as told:
        told.run("tick")  # later ones compare only after a gap, or when an older copy was put back
        backup = back_up(told.world)
        told.run(*arguments)
        told.pass_time(DAY if gap == "a day later" else QUARTER)
        put_back(told.world, backup)
        AFTERWARDS[afterwards](told)
        check_held_back(told)
        end_by_recovery(told)


def play_empty(stage: Stage, situation: str, afterwards: str) -> None:
    """The database is gone, and a new one is made by `init`."""
    with story(stage, SITUATIONS[situation].prepare) as told:
        lose(told.world)
        run_plain(told.world, "init")
        AFTERWARDS[afterwards](told)
        check_held_back(told, BTC if orders_of(told.world, BTC) else ETH)
        recovered = run_plain(told.world, "recover", "--apply", "--adopt", "--yes")
        keep_promise("recover_ends_with_0", recovered.exit_code == 0, recovered.words)
        paused = run_plain(told.world, "status", "--json").json()["system_status"]
        keep_promise("a_recovered_database_is_paused", paused == "PAUSED", paused)
        told.world.council_is_silent()
        told.world.run("resume", "--enable-buys")
        told.end()


def play_twice(stage: Stage, lost: str, afterwards: str) -> None:
    """A second installation with a copy of the database and the same key."""
    prepare, arguments = LOST_ORDERS[lost]
    with story(stage, prepare) as told:
        world = told.world
        first, second = world.settings["BOTCTL_HOME"], world.folder / "second"
        shutil.copytree(world.home, second)
        told.run(*arguments)
        told.pass_time(4 * QUARTER)
        AFTERWARDS[afterwards](told)
        if world.settings.get("COUNCIL_COMMAND"):
            shutil.copy(world.home / "answer.json", second)
        world.settings["BOTCTL_HOME"] = str(second)
        check_held_back(told)
        world.settings["BOTCTL_HOME"] = first
        world.council_is_silent()
        told.end()


def play_another(stage: Stage, words: str) -> None:
    """A second installation with a database of its own and the same key leaves the first one's trade alone."""
    with story(stage, prepare_money) as told:
        world = told.world
        told.run("buy", BTC, "100", "--yes")
        second = world.folder / "second"
        second.mkdir()
        world.settings["BOTCTL_HOME"] = str(second)
        for arguments in (("init",), ("check-positions",), ("buy", ETH, "100", "--yes"), tuple(words.split())):
            run_plain(world, *arguments)
        trades = [trade["symbol"] for trade in run_plain(world, "trades", "--json").json()]
        keep_promise("no_trade_of_another_database_is_adopted", trades == [ETH], f"{trades}")


DATABASES: tuple[Family, ...] = (
    Family(
        "a database from yesterday",
        (tuple(LOST_ORDERS), ("a day later", "a quarter of an hour later"), tuple(AFTERWARDS)),
        play_yesterday,
    ),
    Family("an empty database", (("a quiet day", "a buy by hand"), tuple(AFTERWARDS)), play_empty),
    # Both guard the assets of which no order is missing: what the Council has one of them sell is the owner's doubling.
    Family("a database twice", (tuple(LOST_ORDERS), tuple(AFTERWARDS)[:-1]), play_twice),
    Family("another database", (("recover --apply --yes", "check-positions", "tick"),), play_another),
)


# Markets that are gone


def play_gone(stage: Stage, how: str, price: str, way_out: str) -> None:
    """BTC is renamed or delisted. ETH's stop sells at the first tick all the same, and `forget` is a way out."""
    with story(stage, prepare_both) as told:
        world = told.world
        world.kraken.markets.remove(BTC)
        told.expire_markets()
        if how == "renamed":
            world.kraken.markets.add("NEWB/USD", 50000)
            world.kraken.balances["NEWB"] = world.kraken.balances.pop("XXBT")
        told.move(ETH, 2300 if price == "ETH falls" else 2500)
        run = run_plain(world, "tick")
        keep_promise("what_is_not_settled_is_said", run.exit_code != 0, run.words)
        keep_promise("the_way_out_is_named", "botctl forget" in run.stdout + run.stderr, run.words)
        trades = {trade["symbol"]: trade for trade in run_plain(world, "trades", "--json").json()}
        sold = trades[ETH]["status"] == "CLOSED"
        keep_promise("a_true_stop_sells_at_the_first_run", sold == (price == "ETH falls"), run.words)
        keep_promise("no_trade_closes_while_its_coins_are_there", trades[BTC]["status"] == "OPEN", run.words)
        with_price = ("--price", "49000") if way_out == "with a price" else ()
        forgotten = run_plain(world, "forget", str(trades[BTC]["id"]), "--yes", *with_price)
        keep_promise("forget_ends_with_0", forgotten.exit_code == 0, forgotten.words)
        world.settings["SYMBOLS"] = ETH
        told.pass_time(QUARTER)
        calm = run_plain(world, "tick")
        keep_promise("a_forgotten_trade_is_no_error", calm.exit_code == 0, calm.words)


MARKETS: tuple[Family, ...] = (
    Family(
        "a market is gone",
        (("renamed", "delisted"), ("ETH falls", "ETH stands"), ("with a price", "without a price")),
        play_gone,
    ),
)
