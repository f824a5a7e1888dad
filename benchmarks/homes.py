"""Homes with databases filled by SQL, and the cost of commands in them."""

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.far_kraken import FarKraken
from botctl.domain.client_order_ids import ClientId

HERE = Path(__file__).parent
INITIAL = "10000"
AMOUNT = "10"
"""Of each open position, in the asset, bought at 1."""


@dataclass(frozen=True)
class Cost:
    """The cost of one command, as a process from start to end."""

    code: int
    out: str
    err: str
    started_at: float
    seconds: float
    cpu_seconds: float
    peak_kib: int


class Stopwatch:
    """Runs commands one after another in the process of stopwatch.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "stopwatch.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, command: Sequence[str], env: dict[str, str], cwd: Path, *, codes: tuple[int, ...] = (0,)) -> Cost:
        """The cost of a command, which must end with one of `codes`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"command": list(command), "env": env, "cwd": str(cwd)}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        cost = Cost(**json.loads(self._process.stdout.readline()))
        if cost.code not in codes:
            raise SystemExit(f"{' '.join(command)} ended with {cost.code}:\n{cost.out[-500:]}\n{cost.err[-2000:]}")
        return cost

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True)
class Home:
    """A live home with warm caches, connected to the far Kraken."""

    folder: Path
    settings: dict[str, str]
    stopwatch: Stopwatch

    @property
    def database(self) -> Path:
        return self.folder / "data" / "live.db"

    @property
    def env(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**inherited, "HOME": str(self.folder), "PYTHONPATH": str(HERE.parent), **self.settings}

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Cost:
        return self.stopwatch.run([sys.executable, "-m", "botctl", *arguments], self.env, self.folder, codes=codes)

    def another(self, name: str) -> "Home":
        """A copy of its current state."""
        folder = self.folder.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return Home(folder, {**self.settings, "BOTCTL_HOME": str(folder)}, self.stopwatch)

    @contextmanager
    def sql(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.database)) as connection:
            with connection:
                yield connection
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    try:
        yield watch
    finally:
        watch.close()


def make_home(folder: Path, kraken: FarKraken, watch: Stopwatch) -> Home:
    """A new home, after its first calls of the day."""
    folder.mkdir()
    settings = {
        "BOTCTL_HOME": str(folder),
        "BOTCTL_MODE": "live",
        "LIVE_TRADING": "yes",
        "KRAKEN_API_URL": kraken.url,
        "KRAKEN_API_KEY": kraken.api_key,
        "KRAKEN_PRIVATE_KEY": kraken.secret,
        "INITIAL_BALANCE": INITIAL,
        "SYMBOLS": "BTC/USD",
        "EXCHANGE_STOP": "off",
        "SENTIMENT_URL": "http://127.0.0.1:9/",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    home = Home(folder, settings, watch)
    home.run("init")
    home.run("tick", codes=(0, 1, 69))  # markets, Kraken's time, the day's copy; no Fear & Greed index here
    return home


def symbols(count: int) -> list[str]:
    return [f"AAA{number:02}/USD" for number in range(1, count + 1)]


def open_positions(home: Home, kraken: FarKraken, count: int) -> list[str]:
    """Opens positions in `count` symbols, as after buys at 1 with an ATR of 0.1 and the stop at 0.8."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    names = symbols(count)
    rows = [
        (symbol, symbol.split("/")[0], now, AMOUNT, AMOUNT, now, f"O{number:05}-AAAAA-AAAAAA", now, _tag())
        for number, symbol in enumerate(names, 1)
    ]
    with home.sql() as database:
        database.executemany(
            "INSERT INTO trade (symbol, asset, mode, status, created_at, amount, entry_amount, entry_price, entry_cost,"
            " entry_fee, entry_time, entry_order_id, atr, stop_loss_price, high_price, checked_at, sold_amount,"
            " exit_proceeds, exit_fee, mark) VALUES (?, ?, 'live', 'OPEN', ?, ?, ?, '1', '10', '0.04', ?, ?, 0.1, 0.8,"
            " 1.0, ?, '0', '0', '0', ?)",
            rows,
        )
        # Kraken's time is fetched once a day, by the first order.
        database.execute(
            "INSERT OR REPLACE INTO memory (key, value, saved_at) VALUES ('kraken.clock', 'date 0.0', ?)", (now,)
        )
    kraken.ask("hold", names, AMOUNT)
    kraken.ask("price", names, "1")
    home.run("check-positions")  # so that the next snapshot knows what is held
    return names


TRIGGER = "0.7"
"""Of each resting stop: one ATR below the stop."""


def rest_stops(home: Home) -> list[tuple[str, str, str]]:
    """Records a resting stop of each open position. Returns symbol, exchange id and client order id of each."""
    with home.sql() as database:
        trades = database.execute("SELECT id, symbol, mark FROM trade WHERE status = 'OPEN'").fetchall()
        stops = [
            (number, symbol, f"S{number:05}-AAAAA-AAAAAA", str(ClientId(mark, number, None, True, 1, resting=True)))
            for number, symbol, mark in trades
        ]
        database.executemany(
            'INSERT INTO "order" (client_order_id, exchange_order_id, trade_id, side, symbol, state, reason, whole,'
            " amount, filled, deadline, created_at, inexact, trigger) SELECT ?, ?, id, 'sell', symbol, 'RESTING',"
            f" 'STOP_LOSS', 1, amount, '0', created_at, created_at, 0, '{TRIGGER}' FROM trade WHERE id = ?",
            [(client_id, txid, number) for number, _, txid, client_id in stops],
        )
    return [(symbol, txid, client_id) for _, symbol, txid, client_id in stops]


def _tag() -> str:
    return f"{secrets.randbits(36):09x}"


PAST_TRADES = """
INSERT INTO trade (symbol, asset, mode, status, created_at, amount, entry_amount, entry_price, entry_cost, entry_fee,
    entry_time, entry_order_id, atr, stop_loss_price, high_price, checked_at, sold_amount, exit_proceeds, exit_price,
    exit_fee, exit_time, exit_order_id, exit_reason, pnl, mark)
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count),
    moment(n, at) AS (
        SELECT n, strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 1600000000 + n * 90, 'unixepoch') FROM number
    )
SELECT iif(n % 2, 'BTC/USD', 'ETH/USD'), iif(n % 2, 'BTC', 'ETH'), 'live', 'CLOSED', at, '0.002', '0.002', '50000.1',
    '100.00020', '0.40000', at, printf('O%05d-AAAAA-AAAAAA', n), 512.5, 49100.25, 50500.5, at, '0.002', '99.10000',
    '49550', '0.39640', at, printf('O%05d-BBBBB-BBBBBB', n), 'TRAILING_STOP', '-1.69660', printf('%09x', n)
FROM moment
"""
PAST_ORDERS = """
INSERT INTO "order" (client_order_id, exchange_order_id, trade_id, side, symbol, state, reason, whole, amount, cost,
    filled, average_price, fee, deadline, created_at, settled_at)
SELECT printf('b07c71%s-%08x-4000-8000-{kind}00000000000', '{role}', id), {order_id}, id, '{side}', symbol, 'FILLED',
    {reason}, 1, amount, entry_cost, amount, entry_price, entry_fee, created_at, created_at, created_at
FROM trade
"""
PAST_EVENTS = """
INSERT INTO event (at, kind, trade_id, before, after, why)
SELECT created_at, '{kind}', id, '{{"stop_loss_price": 49000.0, "high_price": 50000.1, "checked_at": null}}',
    '{{"stop_loss_price": 49100.25, "high_price": 50500.5, "checked_at": "' || created_at || '"}}', 'price 50500.5'
FROM trade
"""
EVENTS_A_TRADE = ("entry intended", "opened", "new high", "exit intended", "sold", "closed")


def write_history(home: Home, count: int) -> None:
    """Writes `count` closed trades, each with two orders and six events."""
    with home.sql() as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -400000")
        database.execute(PAST_TRADES, {"count": count})
        database.execute(PAST_ORDERS.format(kind="a", role="00", side="buy", order_id="entry_order_id", reason="NULL"))
        database.execute(
            PAST_ORDERS.format(kind="b", role="03", side="sell", order_id="exit_order_id", reason="exit_reason")
        )
        for kind in EVENTS_A_TRADE:
            database.execute(PAST_EVENTS.format(kind=kind))


def rows_in(home: Home, table: str) -> int:
    with home.sql() as database:
        [(count,)] = database.execute(f'SELECT count(*) FROM "{table}"')
    return int(count)


def as_json(cost: Cost) -> Any:
    return json.loads(cost.out)
