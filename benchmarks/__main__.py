"""Every benchmark: `python -m benchmarks`. Prints ratios within one run.

The other tools are installed into `benchmarks/.venv` at the first run. A ratio compares medians of alternating runs, so
that a machine that slows down slows both.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import runs
from benchmarks.fused import fused
from benchmarks.market import YEAR, Market, wander, write_arrays, write_csv
from botctl.backtesting.backtest import build_arrays, decision_bits, new_buffers, parameters_of
from botctl.backtesting.jit import compiled
from botctl.backtesting.parameter_grid import Axis, points
from botctl.backtesting.sweep import SweepRunner
from botctl.backtesting.sweep_pool import score_in_parallel
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.decisions import RSI_CEILING
from botctl.market_data.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD
from botctl.market_data.timeline import align_histories

HERE = Path(__file__).parent
LONG, SHORT = 350_000, 35_000
TURNS = 15
SETTINGS = {"COOLDOWN_MINUTES": "15", "MAX_DRAWDOWN": "0.99", "QUOTE_CURRENCY": "USD", "EXIT_SLIPPAGE": "0.0005"}
"""Settings that the other tools can match: no drawdown guard, one slippage, and a wait of at least one candle."""

Line = str


class Loop:
    """The compiled backtest of one market, indicators included, on existing arrays."""

    def __init__(self, market: Market) -> None:
        self.kernel = compiled()
        self.columns = market.columns
        self.sentiments = market.sentiments
        timeline = align_histories([market.columns], 14, None, None)
        self.arrays = build_arrays(self.kernel, timeline, [market.columns], market.history, 14)
        self.parameters = parameters_of(parse_settings(SETTINGS))
        self.buffers = new_buffers(self.kernel, 1, len(timeline.times))
        self.opinions = np.empty(len(timeline.times), np.int8)
        self.bits = decision_bits()

    def run(self) -> tuple[int, float]:
        """Calculates every opinion, ATR, decision and trade."""
        columns, arrays = self.columns, self.arrays
        self.kernel.calculate_indicators(
            columns.highs, columns.lows, columns.closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, 14,
            self.opinions, arrays.atrs[0],
        )  # fmt: skip
        self.kernel.decide(self.opinions, self.sentiments, *self.bits, arrays.decisions[0])
        played = self.kernel.simulate(arrays, self.parameters, self.buffers)
        return int(played.trades), float(played.cash)

    def trades(self, count: int) -> list[tuple[int, int]]:
        """Entry and exit bars."""
        return list(zip(self.buffers.entries[:count].tolist(), self.buffers.exits[:count].tolist(), strict=True))


class Limit:
    """The same as one hand-written loop."""

    def __init__(self, market: Market) -> None:
        count = len(market.columns.closes)
        self.market, self.equity, self.buffers = market, np.zeros(count), np.zeros((count // 2, 2), np.int64)
        self.fee_rate = float(parse_settings(SETTINGS).fee_rate)

    def run(self) -> tuple[int, float]:
        columns = self.market.columns
        result: tuple[int, float] = fused(
            columns.opens, columns.highs, columns.lows, columns.closes, self.market.sentiments,
            10_000.0, 100.0, self.fee_rate, 0.0005, 1, 2.0, 2.0, 0.99, self.equity, self.buffers,
        )  # fmt: skip
        return result


def take_turns(*runs: Callable[[], object], turns: int = TURNS) -> list[float]:
    """The median seconds of each, after one warm-up run."""
    seconds: list[list[float]] = [[] for _ in runs]
    for turn in range(turns + 1):
        for run, own in zip(runs, seconds, strict=True):
            began = time.perf_counter()
            run()
            if turn:
                own.append(time.perf_counter() - began)
    return [statistics.median(own) for own in seconds]


def the_limit(_folder: Path) -> Iterator[Line]:
    """The compiled loop against one written by hand."""
    market = wander(LONG)
    loop, limit = Loop(market), Limit(market)
    assert np.allclose(loop.run(), limit.run(), rtol=1e-12), "the two results differ"
    ours, hand = take_turns(loop.run, limit.run, turns=101)
    yield f"compiled loop, {LONG:,} candles: {1e3 * ours:.2f} ms, {LONG / ours / 1e6:.0f} million candles a second"
    yield f"written by hand as one loop: {1e3 * hand:.2f} ms, {LONG / hand / 1e6:.0f} million candles a second"
    yield f"ratio: {hand / ours:.2f} of the limit"


def against_vectorbt(folder: Path) -> Iterator[Line]:
    """The same trades in vectorbt."""
    market = wander(LONG)
    loop = Loop(market)
    count, _ = loop.run()
    (ours,) = take_turns(loop.run, turns=51)
    theirs = ask_vectorbt(folder, market, "once")
    same = [tuple(trade[:2]) for trade in theirs["trades"]] == loop.trades(count)
    yield f"vectorbt, {LONG:,} candles: {1e3 * theirs['seconds']:.1f} ms; botctl {1e3 * ours:.2f} ms"
    yield f"ratio: {theirs['seconds'] / ours:.0f} times; {count:,} trades, {'all the same' if same else 'NOT THE SAME'}"


def a_sweep(folder: Path) -> Iterator[Line]:
    """A thousand sets of the exit's settings."""
    market = wander(SHORT)
    multiples, breakevens = (tuple(map(str, np.linspace(*span))) for span in ((1, 5, 40), (1, 4, 25)))
    axes = [Axis("atr_multiple", multiples), Axis("breakeven_atr", breakevens)]
    runner = SweepRunner([market.columns], SETTINGS, market.history, axes, 1.0)
    grid = list(points(axes))
    runner.score(grid[0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = [runner.score(point) for point in grid]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    one, all_cores = take_turns(lambda: runner.score_all(grid), lambda: list(score_in_parallel(runner, grid)), turns=9)
    theirs = ask_vectorbt(folder, market, "sweep")
    pairs = zip(scores, theirs["returns"], strict=True)
    difference = max(abs(score.train.returned - other) for score, other in pairs)
    yield f"{len(grid):,} sets over {SHORT:,} candles: {all_cores:.3f} s; vectorbt {theirs['seconds']:.1f} s"
    yield f"ratio: {theirs['seconds'] / all_cores:.0f} times; returns differ by at most {difference:.0e}"
    yield f"on one core: {one:.3f} s, {theirs['seconds'] / one:.0f} times"
    yield f"memory grown by the sweep: {grown} KiB; vectorbt's peak {theirs['peak_bytes'] / 2**20:.0f} MiB"


def cold_processes(folder: Path) -> Iterator[Line]:
    """Whole processes from the shell to the printed result."""
    python = peers_python()
    for words, years in (("one year", 1), ("ten years", 10)):
        path = folder / f"BTC-USD_15m_{years}.csv"
        write_csv(wander(years * YEAR), path)
        ours = [sys.executable, "-m", "botctl", "backtest", f"{path}:BTC/USD"]
        peer = [python, "-W", "ignore", str(HERE / "peers" / "backtesting_peer.py"), str(path)]
        own, other = take_turns(lambda c=ours: run(c), lambda c=peer: run(c), turns=5)  # type: ignore[misc]
        yield f"{words}: botctl {own:.2f} s, backtesting.py {other:.2f} s; ratio {own / other:.2f}"
        if years == 1:
            slow = [python, "-W", "ignore", str(HERE / "peers" / "backtrader_peer.py"), str(path)]
            (third,) = take_turns(lambda c=slow: run(c), turns=1)  # type: ignore[misc]
            yield f"{words}: backtrader {third:.1f} s"


def run(command: Sequence[str]) -> str:
    """Runs a process that must succeed; returns its output."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def ask_vectorbt(folder: Path, market: Market, what: str) -> Any:
    """vectorbt's result, and its time without compiling."""
    arrays = folder / f"{len(market.sentiments)}.npz"
    write_arrays(market, arrays)
    peer = [peers_python(), "-W", "ignore", str(HERE / "peers" / "vectorbt_peer.py"), str(arrays), what]
    return json.loads(run(peer))


def peers_python() -> str:
    """The Python of the other tools' environment, created at the first call."""
    home = HERE / ".venv"
    python = home / "bin" / "python"
    if not python.exists():
        print("installing the peers ...", file=sys.stderr)
        venv.create(home, with_pip=True)
        run([str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / "peers.txt")])
    return str(python)


BENCHMARKS: tuple[tuple[str, Callable[[Path], Iterator[Line]]], ...] = (
    ("limit", the_limit),
    ("vectorbt", against_vectorbt),
    ("sweep", a_sweep),
    ("cold", cold_processes),
    ("start", runs.a_start),
    ("check", runs.a_check),
    ("first-order", runs.the_first_order),
    ("first-sell", runs.the_first_sell_with_resting_stops),
    ("million", runs.a_million),
    ("eight", runs.eight_at_once),
    ("memory", runs.the_size),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=[name for name, _ in BENCHMARKS], action="append")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, benchmark in BENCHMARKS:
            if arguments.only is None or name in arguments.only:
                own = Path(folder) / name
                own.mkdir()
                for line in benchmark(own):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
