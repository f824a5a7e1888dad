"""Runs that are ended while they wait: for the lock, for the Council, for an answer, or asleep between two tries.
And a run that is killed while others wait for its lock: the next one gets it."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.campaign import SEPARATOR
from tests.chaos.kills import SIGNALS
from tests.chaos.processes import Process, Run
from tests.chaos.races import BUSY, COMMANDS, describe, ends_well
from tests.chaos.scenes import SCENES, Stage, guard_is_awake, recover
from tests.chaos.world import World, wait_until

QUICKLY = 2.0
"""Seconds within which a run must end when it is told to, and within which the next one must have its lock."""
ASLEEP = 0.3
"""Seconds after which a run that has nothing else to do is asleep."""


Begin = Callable[[], Process]
"""Starts the scene's run."""


@dataclass(frozen=True)
class Wait:
    """A scene whose run comes to wait, and what brings that about: it returns once the run waits."""

    scene: str
    come: Callable[[World, Begin], Process]


def for_the_lock(world: World, begin: Begin) -> Process:
    """Another run has the lock, and its answer takes its time."""
    world.kraken.fault("BalanceEx", "hang_before", seconds=30)
    world.start("check-positions", hasty=False)
    wait_until(lambda: world.kraken.count("BalanceEx") > 0)
    process = begin()
    wait_until(lambda: world.wants_lock(process))
    time.sleep(ASLEEP)
    return process


def for_the_council(world: World, begin: Begin) -> Process:
    world.council_sits("BUY")
    process = begin()
    world.wait_for_council()
    time.sleep(ASLEEP)
    return process


def for_an_answer(world: World, begin: Begin) -> Process:
    """The order is placed, and nobody says so."""
    world.kraken.fault("AddOrder", "hang_after", seconds=30)
    process = begin()
    wait_until(lambda: len(world.kraken.orders) > 0)
    return process


def before_a_second_try(world: World, begin: Begin) -> Process:
    """Nothing can be read: the run tries again and again."""
    world.kraken.fault("OHLC", "status", times=9)
    process = begin()
    wait_until(lambda: world.kraken.count("OHLC") > 2)
    return process


def between_two_look_ups(world: World, begin: Begin) -> Process:
    """The order is placed, its answer is lost, and it shows in no list yet."""
    world.kraken.account.closed_orders_lag_looks = 99
    world.kraken.fault("AddOrder", "drop_after")
    process = begin()
    wait_until(lambda: world.kraken.count("ClosedOrders") > 1)
    time.sleep(ASLEEP)
    world.kraken.orders[-1].hidden_looks = 0
    world.kraken.account.closed_orders_lag_looks = 0
    return process


def before_the_second_snapshot(world: World, begin: Begin) -> Process:
    """The drawdown is too deep, which a second snapshot must confirm."""
    process = begin()
    wait_until(lambda: world.kraken.count("Ticker") > 0)
    time.sleep(ASLEEP)
    return process


WAITS = {
    "for the lock": Wait("a buy by hand", for_the_lock),
    "for the Council": Wait("a tick that buys", for_the_council),
    "for an answer": Wait("a buy by hand", for_an_answer),
    "before a second try": Wait("a buy by hand", before_a_second_try),
    "between two look-ups": Wait("a buy by hand", between_two_look_ups),
    "before the second snapshot": Wait("a drawdown", before_the_second_snapshot),
}
HEIRS = ("sell", "check", "liquidate", "drawdown")
"""Those that wait for the lock. A tick does not, so that one is started when its predecessor is dead."""


class Waits:
    """A run ended while it waits."""

    name = "waits"
    about = "a run ended while it waits, or while others wait for it"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every wait with every signal, and every heir."""
        for signal_name in SIGNALS:
            for wait in WAITS:
                yield SEPARATOR.join((self.name, signal_name, wait))
        for heirs in (*HEIRS, " + ".join(HEIRS)):
            yield SEPARATOR.join((self.name, "the next one", heirs))

    def play(self, stage: Stage, trial: str) -> int:
        _, kind, which = trial.split(SEPARATOR)
        if kind == "the next one":
            pass_the_lock_on(stage, which.split(" + "))
        else:
            end_while_waiting(stage, WAITS[which], kind)
        return 1


def end_while_waiting(stage: Stage, wait: Wait, signal_name: str) -> None:
    """It ends at once, as it was told to, and its Council's program with it."""
    world = stage.set(wait.scene)
    try:
        world.kraken.clear_requests()
        process = wait.come(world, lambda: world.start(*SCENES[wait.scene].arguments, hasty=False))
        process.send(SIGNALS[signal_name])
        assert process.ends_within(QUICKLY), "it did not end when it was told to"
        check_end(process.wait(), signal_name)
        world.kraken.clear_faults()
        for other in world.started:
            other.wait()
        world.hear_council()
        recover(world)
        guard_is_awake(world)
    finally:
        world.close()


def check_end(run: Run, signal_name: str) -> None:
    """It ended by that signal, with one line where it still could say one."""
    if signal_name == "SIGKILL":
        assert run.exit_code == -signal.SIGKILL, run.words
        return
    assert run.exit_code == 128 + SIGNALS[signal_name], run.words
    said = [line for line in run.stderr.splitlines() if not line.startswith("botctl: warning")]
    assert len(said) == 1, run.words
    assert said[0].startswith("botctl: interrupted"), run.words


def pass_the_lock_on(stage: Stage, heirs: list[str]) -> None:
    """A tick is killed while its Council sits and others wait for its lock. Its Council's program lives on."""
    world = stage.set("a tick that sells")
    try:
        world.council_sits("SELL")
        tick = world.start("tick", hasty=False)
        world.wait_for_council()
        processes = [world.start(*COMMANDS[name], hasty=False) for name in heirs]
        for process in processes:
            wait_until(lambda process=process: world.wants_lock(process))
        tick.send(signal.SIGKILL)
        assert any(process.ends_within(QUICKLY) for process in processes), "nobody got the lock"
        runs = [process.wait() for process in processes]
        assert [run.exit_code for run in runs if run.exit_code in (BUSY, 69)] == [], describe(runs)
        world.council_is_silent()
        runs.append(world.run("tick", hasty=False))
        assert runs[-1].exit_code == 0, runs[-1].words
        world.hear_council()
        ends_well(world, runs)
    finally:
        world.close()
