"""Two to eight processes at once on one home: one wins, the others say so or wait, and nothing is lost or doubled."""

import random
import time
from collections import Counter
from collections.abc import Iterator

from botctl.store.models import Order, Tick, Trade
from tests.chaos.campaign import SEPARATOR
from tests.chaos.invariants import ALWAYS, check
from tests.chaos.kill_switch_races import release
from tests.chaos.processes import Process, Run
from tests.chaos.scenes import Stage, check_words, guard_is_awake, recover
from tests.chaos.world import World, wait_until
from tests.fake_kraken import Request

BUSY, REFUSED = 75, 3
COMMANDS: dict[str, tuple[str, ...]] = {
    "tick": ("tick",),
    "buy": ("buy", "BTC/USD", "100", "--yes"),
    "buy another": ("buy", "ETH/USD", "100", "--yes"),
    "sell": ("sell", "BTC/USD", "--yes"),
    "sell a part": ("sell", "BTC/USD", "0.001", "--yes"),
    "check": ("check-positions",),
    "liquidate": ("liquidate", "--yes"),
    "drawdown": ("drawdown",),
    "pause": ("pause",),
    "freeze": ("pause", "--freeze"),
    "resume": ("resume",),
    "status": ("status",),
}
SITUATIONS = ("a tick that buys", "a tick that sells", "a tick that stops out", "a tick that stops out two")
FEWEST, MOST = 2, 8
MOST_HEAD_START = 0.25
"""Seconds that one run may have before the next: about what a whole run takes."""


class Races:
    """Several runs at once."""

    name = "races"
    about = "two to eight runs at once"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Ticks alone and buys alone in every number, and mixtures as drawn."""
        for number in range(FEWEST, MOST + 1):
            yield SEPARATOR.join((self.name, "ticks", str(number)))
            yield SEPARATOR.join((self.name, "buys", str(number)))
        chance = random.Random(seed)
        for draw in range(runs):
            names = [chance.choice(list(COMMANDS)) for _ in range(chance.randint(FEWEST, MOST))]
            runners = " + ".join(names)
            yield SEPARATOR.join((self.name, "mixed", f"{chance.choice(SITUATIONS)}, {runners} ({seed}.{draw})"))

    def play(self, stage: Stage, trial: str) -> int:
        _, kind, what = trial.split(SEPARATOR)
        match kind:
            case "ticks":
                race_of_ticks(stage, int(what))
            case "buys":
                race_of_buys(stage, int(what))
            case _:
                mixed_race(stage, *what.split(", "))
        return 1


def race_of_ticks(stage: Stage, number: int) -> None:
    """The one that holds the lock is not answered before all others have ended: they must not wait for it."""
    world = stage.set("a tick that buys")
    try:
        processes: list[Process] = []

        def hold(_request: Request) -> None:
            wait_until(lambda: sum(process.ends_within(0) for process in processes) == number - 1)
            world.kraken.before = None

        world.kraken.before = hold
        processes += [world.start(*COMMANDS["tick"], hasty=False) for _ in range(number)]
        runs = [process.wait() for process in processes]
        assert Counter(run.exit_code for run in runs) == {0: 1, BUSY: number - 1}, describe(runs)
        for run in runs:
            if run.exit_code == BUSY:
                assert (run.stdout, run.stderr.count("\n")) == ("", 1), run.words
                assert "another run of botctl holds the lock" in run.stderr, run.words
        with world.models():
            assert (Tick.select().count(), Order.select().count()) == (1, 1)
        ends_well(world, runs)
    finally:
        world.close()


def race_of_buys(stage: Stage, number: int) -> None:
    """All are under way before the first is answered. Each waits for its turn; then the asset is taken."""
    world = stage.set("a buy by hand")
    try:
        processes: list[Process] = []

        def hold(_request: Request) -> None:
            wait_until(lambda: len(processes) == number and all(world.wants_lock(process) for process in processes))
            world.kraken.before = None

        world.kraken.before = hold
        processes += [world.start(*COMMANDS["buy"], hasty=False) for _ in range(number)]
        runs = [process.wait() for process in processes]
        assert Counter(run.exit_code for run in runs) == {0: 1, REFUSED: number - 1}, describe(runs)
        assert all("BTC already has trade 1" in run.stderr for run in runs if run.exit_code == REFUSED), describe(runs)
        with world.models():
            assert (Trade.select().count(), Order.select().count()) == (1, 1)
        ends_well(world, runs)
    finally:
        world.close()


def mixed_race(stage: Stage, scene: str, runners: str) -> None:
    """All at once, or nearly: each gets a little head start before the next."""
    chance = random.Random(runners)
    world = stage.set(scene)
    try:
        processes = []
        for name in runners.rsplit(" (", 1)[0].split(" + "):
            processes.append(world.start(*COMMANDS[name], hasty=False))
            time.sleep(chance.choice((0, 0, chance.uniform(0, MOST_HEAD_START))))
        ends_well(world, [process.wait() for process in processes])
    finally:
        world.close()


def ends_well(world: World, runs: list[Run]) -> None:
    """Each said how it went, no two were at the exchange at once, and every promise is kept."""
    for run in runs:
        check_words(run)
    assert world.kraken.bugs == []
    crossed = [request.error for request in world.kraken.requests if request.error and "nonce" in request.error]
    assert crossed == [], "two runs called at once: the later one's nonce came first"
    check(world, ALWAYS)
    release(world)
    recover(world)
    guard_is_awake(world)


def describe(runs: list[Run]) -> str:
    return "\n".join(run.words for run in runs)
