"""Spoils requests: every kind of fault at every position of a run, singly and in pairs, and in the recovering run."""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import product

from tests.chaos.campaign import SEPARATOR
from tests.chaos.fault_kinds import FOR_ORDERS, FOR_READS, KINDS, REFUSED, REFUSED_FOR_A_MOMENT
from tests.chaos.invariants import a_bare_trade_is_said, check
from tests.chaos.kills import act_until
from tests.chaos.processes import Run
from tests.chaos.scenes import SCENES, Stage, act, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.fake_kraken import Request

MOST_SECONDS = 300.0
"""No run takes longer in its own time, whatever Kraken does: cron's next one is due in 900."""
ABSENT_FOR_SURE = 130.0
"""Seconds after which an order that is in no list was never placed."""


class Trouble:
    """Spoils the requests of the next run at chosen positions, counted from 1 as they arrive."""

    def __init__(self, world: World, plan: Mapping[int, str]) -> None:
        self.world = world
        self.plan = plan
        self._arrived = 0
        self._over = threading.Event()

    def __enter__(self) -> None:
        last = 0
        for position, name in sorted(self.plan.items()):
            if name in KINDS:
                kind = KINDS[name]
                self.world.kraken.fault("*", kind.fault, skip=position - last - 1, **kind.options)
                last = position
        self.world.kraken.after = self._count
        self._hang_up_before(1)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        kraken = self.world.kraken
        kraken.before = kraken.after = None
        kraken.clear_faults()
        if kraken.hanging_up:
            kraken.start()

    def _count(self, _request: Request) -> None:
        self._arrived += 1
        self._hang_up_before(self._arrived + 1)

    def _hang_up_before(self, position: int) -> None:
        name = self.plan.get(position)
        if name in (REFUSED, REFUSED_FOR_A_MOMENT):
            self.world.kraken.hang_up()
        if name == REFUSED_FOR_A_MOMENT:
            threading.Thread(target=self._listen_again, daemon=True).start()

    def _listen_again(self) -> None:
        """Once a second has passed in this world."""
        end = self.world.clock.now() + 1
        while self.world.clock.now() < end and not self._over.is_set():
            time.sleep(0.005)
        if not self._over.is_set():
            self.world.kraken.start()


def run_in_trouble(world: World, scene: str, plan: Mapping[int, str], **options: object) -> Run:
    """The scene's command with its requests spoiled; it must end in time, and with clear words."""
    began = world.clock.now()
    with Trouble(world, plan):
        run = act(world, scene, **options)
    check_words(run)
    check(world, (a_bare_trade_is_said,))
    assert world.clock.now() - began < MOST_SECONDS, f"it took {world.clock.now() - began:.0f} s: {run.words}"
    return run


CHANGES_ORDERS = frozenset({"AddOrder", "AmendOrder", "CancelOrder", "CancelOrderBatch"})


def kinds_for(endpoint: str) -> tuple[str, ...]:
    """The kinds that differ for a request; whether a faulty answer hides its effect matters to one that has any."""
    return FOR_ORDERS if endpoint in CHANGES_ORDERS else FOR_READS


class Faults:
    """One request spoiled."""

    name = "faults"
    about = "one request of a run spoiled"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every kind at every position of every scene."""
        for scene in SCENES:
            yield from self.trials_of(stage, scene)

    def trials_of(self, stage: Stage, scene: str) -> Iterator[str]:
        for position, endpoint in enumerate(stage.undisturbed(scene).endpoints, 1):
            for kind in kinds_for(endpoint):
                yield SEPARATOR.join((self.name, kind, f"{scene}, {endpoint} at {position}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, kind, where = trial.split(SEPARATOR)
        scene, position = where.split(", ")[0], int(where.rsplit(" ", 1)[1])
        world = stage.set(scene)
        try:
            run_in_trouble(world, scene, {position: kind})
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


class FaultPairs:
    """Two requests of a run spoiled."""

    name = "fault pairs"
    about = "two requests of a run spoiled"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Drawn: two positions, each with a kind of its own; the second may be the first one's repetition."""
        chance = random.Random(seed)
        asked = {scene: stage.undisturbed(scene).endpoints for scene in SCENES}
        for _ in range(runs):
            scene = chance.choice(list(SCENES))
            first = chance.randint(1, len(asked[scene]))
            second = first + chance.randint(1, 4)
            kinds = [self._draw(chance, asked[scene], position) for position in (first, second)]
            yield SEPARATOR.join((self.name, scene, f"{kinds[0]} at {first} + {kinds[1]} at {second}"))

    def _draw(self, chance: random.Random, asked: list[str], position: int) -> str:
        """Around an order every kind; what a repetition or a look-up asks is not known, and may be an order."""
        return chance.choice(kinds_for(asked[position - 1]) if position <= len(asked) else FOR_READS)

    def play(self, stage: Stage, trial: str) -> int:
        _, scene, both = trial.split(SEPARATOR)
        plan = {int(part.rsplit(" at ", 1)[1]): part.rsplit(" at ", 1)[0] for part in both.split(" + ")}
        world = stage.set(scene)
        try:
            run_in_trouble(world, scene, plan)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


ORDERING = (
    "a buy by hand", "a sell by hand", "a tick that stops out two", "a buy with a resting stop",
    "a hit stop above a resting one", "a resting stop that moves", "a sell of a part beside a resting stop",
)  # fmt: skip
"""Scenes for trouble in the recovering run."""
FATES = ("request after", "request lost")
"""The run was killed with its request processed, or with its request gone."""
MOMENTS = {"at once": 0.0, "two minutes later": ABSENT_FOR_SURE}
RECOVERING_REQUESTS = 6


class FaultsInRecovery:
    """A run killed as it placed, moved or canceled an order, and a request of the run that looks it up spoiled: when a
    bad answer must not read as «there is no such order»."""

    name = "recovery faults"
    about = "a run killed as it placed, moved or canceled an order, and one request of the recovering run spoiled"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        for scene in ORDERING:
            asked = enumerate(stage.undisturbed(scene).endpoints, 1)
            ends = [f"{fate} {number}" for number, endpoint in asked if endpoint in CHANGES_ORDERS for fate in FATES]
            for end, moment, position, kind in product(ends, MOMENTS, range(1, RECOVERING_REQUESTS + 1), FOR_READS):
                where = f"{scene}, {end}, {moment}, request {position}"
                yield SEPARATOR.join((self.name, kind, where))

    def play(self, stage: Stage, trial: str) -> int:
        _, kind, where = trial.split(SEPARATOR)
        scene, end, moment, position = where.split(", ")
        fate, number = end.rsplit(" ", 1)
        world = stage.set(scene)
        try:
            act_until(world, scene, fate, int(number))
            world.council_is_silent()
            world.clock.skip(MOMENTS[moment])
            with Trouble(world, {int(position.split()[1]): kind}):
                check_words(world.run("tick"))
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1
