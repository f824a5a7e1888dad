"""The cost of a run of the bot, from the start of its process to its end, with Kraken 100 ms away."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.far_kraken import ROUND_TRIP, FarKraken
from benchmarks.homes import (
    AMOUNT,
    HERE,
    TRIGGER,
    Cost,
    Home,
    Stopwatch,
    make_home,
    open_positions,
    rest_stops,
    rows_in,
    stopwatch,
    symbols,
    write_history,
)

Line = str
TURNS = int(os.environ.get("BENCHMARK_TURNS", "7"))
"""Runs per comparison. The fastest counts, because other load only makes a run slower."""
MANY = 500
PAST = int(os.environ.get("BENCHMARK_TRADES", "1000000"))


@contextmanager
def far_away(folder: Path) -> Iterator[tuple[FarKraken, Home, Stopwatch]]:
    with FarKraken() as kraken, stopwatch() as watch:
        yield kraken, make_home(folder / "home", kraken, watch), watch


def fastest(*runs: Callable[[], Cost], turns: int = TURNS) -> list[Cost]:
    """The fastest run of each, after one warm-up. They alternate, so that other load slows all."""
    best: list[Cost | None] = [None for _ in runs]
    for turn in range(turns + 1):
        for number, run in enumerate(runs):
            cost, best_so_far = run(), best[number]
            if turn and (best_so_far is None or cost.seconds < best_so_far.seconds):
                best[number] = cost
    return [cost for cost in best if cost is not None]


def _time_text(cost: Cost) -> str:
    return f"{1000 * cost.seconds:.0f} ms ({1000 * cost.cpu_seconds:.0f} ms of them CPU)"


def a_start(folder: Path) -> Iterator[Line]:
    """The fastest commands against the import of their two libraries."""
    with far_away(folder) as (kraken, home, watch):
        open_positions(home, kraken, 1)
        imports = [sys.executable, "-c", "import typer, peewee"]
        commands = ("pause", "resume", "status", "positions", "--help")
        bare, *costs = fastest(
            lambda: watch.run(imports, home.env, home.folder),
            *(lambda command=command: home.run(command) for command in commands),  # type: ignore[misc]
            turns=2 * TURNS,
        )
        yield f"import typer, peewee: {_time_text(bare)}"
        for command, cost in zip(commands, costs, strict=True):
            ratios = f"{cost.seconds / bare.seconds:.2f}, of CPU {cost.cpu_seconds / bare.cpu_seconds:.2f}"
            yield f"{command}: {_time_text(cost)}; ratio {ratios}"


def a_check(folder: Path) -> Iterator[Line]:
    """check-positions against a minimal ccxt script, and with many positions."""
    with far_away(folder) as (kraken, home, watch):
        one, many = home.another("one"), home.another("many")
        names = open_positions(one, kraken, 1)
        script = [sys.executable, "-W", "ignore", str(HERE / "peers" / "ccxt_script.py"), *names]
        ours, theirs, bare = fastest(
            lambda: one.run("check-positions"),
            lambda: watch.run(script, one.env, one.folder),
            lambda: watch.run([sys.executable, "-c", "import ccxt"], one.env, one.folder),
        )
        yield f"check-positions, one position: {_time_text(ours)}"
        yield f"the same as a script with import ccxt and load_markets: {_time_text(theirs)}"
        yield f"import ccxt alone: {_time_text(bare)}"
        yield f"ratio: {ours.seconds / theirs.seconds:.2f}, of CPU {ours.cpu_seconds / theirs.cpu_seconds:.2f}"
        open_positions(many, kraken, MANY)
        price = iter(range(1, 1000))

        def rising(*arguments: str) -> Cost:
            """Moves every high."""
            kraken.ask("hold", symbols(MANY), "10")
            kraken.ask("price", symbols(MANY), f"1.{next(price):05}")
            return many.run("check-positions", *arguments)

        def none(*arguments: str) -> Cost:
            kraken.ask("hold", [], "0")
            return home.run("check-positions", *arguments)

        few, all_of_them, few_json, all_json = fastest(none, rising, lambda: none("--json"), lambda: rising("--json"))
        kraken.ask("forget")
        rising()
        yield f"check-positions, no position: {_time_text(few)}; {MANY} positions, all moved: {_time_text(all_of_them)}"
        yield f"ratio: {all_of_them.seconds / few.seconds:.2f} with the table, " + (
            f"{all_json.seconds / few_json.seconds:.2f} with --json; requests: {kraken.traffic().endpoints}"
        )


def the_first_order(folder: Path) -> Iterator[Line]:
    """From the start of the process to the first AddOrder at Kraken, by the number of open positions."""
    with far_away(folder) as (kraken, home, _):
        for count in (1, 50, MANY):
            ready = home.another(f"ready-{count}")
            names = open_positions(ready, kraken, count)

            def fall(names: list[str] = names) -> None:
                kraken.ask("hold", names, "10")
                kraken.ask("price", names, "1.1")
                kraken.ask("price", names[-1:], "0.7")

            latency, _ = _fastest_order(ready, kraken, fall)
            yield f"{count} open positions: {latency}"


def the_first_sell_with_resting_stops(folder: Path) -> Iterator[Line]:
    """As `the_first_order`, where each position has a resting stop, which is canceled and asked for first."""
    with far_away(folder) as (kraken, home, _):
        for count in (1, 50, MANY):
            ready = home.another(f"ready-{count}")
            names = open_positions(ready, kraken, count)
            stops = rest_stops(ready)
            ready.settings["EXCHANGE_STOP"] = "on"

            def fall(names: list[str] = names, stops: list[tuple[str, str, str]] = stops) -> None:
                kraken.ask("rest", [], AMOUNT, TRIGGER)
                kraken.ask("hold", names, AMOUNT)
                kraken.ask("price", names, "1.05")
                kraken.ask("price", names[-1:], "0.75")
                kraken.ask("rest", stops, AMOUNT, TRIGGER)

            latency, endpoints = _fastest_order(ready, kraken, fall)
            yield f"{count} open positions with resting stops: {latency}; requests: {endpoints[:6]}"


def _fastest_order(ready: Home, kraken: FarKraken, fall: Callable[[], None]) -> tuple[str, list[str]]:
    """The fastest of some runs in copies of a home, each after a `fall` of the price: when the first AddOrder arrives,
    and the requests of the last run."""
    best, first, endpoints = float("inf"), 0.0, []
    for _ in range(TURNS):
        fall()
        kraken.ask("forget")
        cost = ready.another("hit").run("check-positions", "--json")
        traffic = kraken.traffic()
        endpoints = traffic.endpoints
        order = traffic.first("AddOrder") - cost.started_at
        if order < best:
            best, first = order, traffic.arrived_at[0] - cost.started_at
    trips = (best - first) / ROUND_TRIP
    start_up = f"{1000 * first:.0f} ms of them start-up"
    return f"AddOrder after {1000 * best:.0f} ms, {start_up} and {trips:.2f} round trips", endpoints


def a_million(folder: Path) -> Iterator[Line]:
    """Commands on a database with a long history, and on an empty one."""
    with far_away(folder) as (kraken, empty, _):
        kraken.ask("hold", [], "0")
        full = empty.another("full")
        began = time.perf_counter()
        write_history(full, PAST)
        size = full.database.stat().st_size
        yield f"{PAST:,} closed trades: {size / 2**20:.0f} MiB, written in {time.perf_counter() - began:.0f} s"
        for home in (empty, full):
            home.run("pause")
        for name in ("check-positions", "pause", "status", "tick"):
            few, many = fastest(lambda name=name: empty.run(name), lambda name=name: full.run(name))  # type: ignore[misc]
            yield f"{name}: empty {_time_text(few)}, full {_time_text(many)}; ratio {many.seconds / few.seconds:.2f}"
        for copy in (full.folder / "data" / "backups").iterdir():
            copy.unlink()
        first = full.run("tick")
        yield f"the day's first tick, with its copy of the database: {first.seconds:.1f} s"


CROWD = (
    ("status",), ("positions",), ("trades", "--limit", "5"), ("check-positions",), ("pause",), ("resume",), ("orders",),
    ("tick",),
)  # fmt: skip
ROUNDS = 5
WATCHED = """
import atexit, sys, time
from botctl.cli.app import main
from botctl.store.sqlite import _Cursor

execute, longest = _Cursor.execute, [0.0]

def timed(self, sql, *parameters):
    started = time.perf_counter()
    try:
        return execute(self, sql, *parameters)
    finally:
        if sql.startswith(("BEGIN", "INSERT", "UPDATE")) and not self.connection.in_transaction or "BEGIN" in sql:
            longest[0] = max(longest[0], time.perf_counter() - started)

_Cursor.execute = timed
atexit.register(lambda: print("waited", longest[0], file=sys.stderr))
main()
"""
"""A command that prints on stderr its longest wait until it could write: for BEGIN, or for a statement that is
a transaction of its own, its write to the disk included."""


def eight_at_once(folder: Path) -> Iterator[Line]:
    """Eight commands at once on one database."""
    with far_away(folder) as (kraken, home, _):
        names = open_positions(home, kraken, 50)
        events, ticks = rows_in(home, "event"), rows_in(home, "tick")
        codes: list[int] = []
        waits: list[float] = []
        ran = 0
        for number in range(ROUNDS):
            kraken.ask("price", names, f"1.{number + 1}")
            runs = [
                subprocess.Popen(
                    [sys.executable, "-c", WATCHED, *words], env=home.env, cwd=home.folder,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                )
                for words in CROWD
            ]  # fmt: skip
            for words, run in zip(CROWD, runs, strict=True):
                stderr = run.communicate()[1]
                waits.append(float(stderr.rsplit("waited", 1)[1]))
                busy = words == ("tick",) and run.returncode == 75
                ran += words == ("tick",) and not busy
                if run.returncode and not busy and "Fear" not in stderr:
                    codes.append(run.returncode)
                    yield f"FAILED: {' '.join(words)} ended with {run.returncode}: {stderr.strip()[-300:]}"
        # Every round moves fifty highs once, pauses once and resumes once.
        expected = events + ROUNDS * (len(names) + 2)
        written = rows_in(home, "event")
        counts = f"events {written} of {expected}; ticks {rows_in(home, 'tick') - ticks} of {ran}"
        yield f"{len(CROWD)} commands at once, {ROUNDS} rounds: {len(codes)} failed; {counts}"
        with sqlite3.connect(home.database) as database:
            [(sound,)] = database.execute("PRAGMA integrity_check(1)")
        yield f"worst wait for the database: {1000 * max(waits):.0f} ms; integrity {sound}"


def the_size(folder: Path) -> Iterator[Line]:
    """Peak memory, requests and bytes of each kind of run."""
    with far_away(folder) as (kraken, home, _):
        names = open_positions(home, kraken, 1)
        guarded = home.another("guarded")
        guarded.run("pause")
        kinds: list[tuple[str, Home, tuple[str, ...]]] = [
            ("tick without Council", guarded, ("tick",)),
            ("tick with Council", home, ("tick",)),
            ("check-positions", guarded, ("check-positions",)),
            ("drawdown", guarded, ("drawdown",)),
            ("balance", guarded, ("balance",)),
            ("pause", guarded, ("pause",)),
            ("status", guarded, ("status",)),
            ("positions", guarded, ("positions",)),
        ]
        yield "| run | peak memory | requests | bytes sent | bytes received |"
        yield "| --- | --- | --- | --- | --- |"
        for name, run_in, words in kinds:
            yield _row(name, kraken, run_in, words)
        kraken.ask("price", names, "0.7")
        yield _row("a stop that is hit", kraken, guarded, ("check-positions",))
        fresh = home.another("fresh")
        with fresh.sql() as database:
            database.execute("DELETE FROM memory WHERE key IN ('kraken.markets', 'kraken.clock')")
        kraken.ask("hold", names, "10")
        kraken.ask("price", names, "1")
        yield _row("the day's first check", kraken, fresh, ("check-positions",))


def _row(name: str, kraken: FarKraken, home: Home, words: tuple[str, ...]) -> Line:
    kraken.ask("forget")
    cost = home.run(*words, codes=(0, 1, 3, 69))
    traffic = kraken.traffic()
    requests = f"{len(traffic.endpoints)} ({', '.join(traffic.endpoints)})" if traffic.endpoints else "0"
    sizes = f"{traffic.sent_bytes:,} | {traffic.answered_bytes:,}"
    return f"| {name} | {cost.peak_kib / 1024:.0f} MB | {requests} | {sizes} |"
