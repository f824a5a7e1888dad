"""Ends runs at every boundary there is: each request before and after Kraken processed it, each database commit
before and after it. By SIGKILL, by SIGTERM and by Ctrl-C; and the run that recovers is ended too."""

import random
import signal
from collections.abc import Iterator

from tests.chaos.campaign import SEPARATOR
from tests.chaos.processes import End, Run
from tests.chaos.scenes import OUTCOMES, SCENES, Stage, act, check_words, guard_is_awake, recover
from tests.chaos.world import CALM_WAIT_SECONDS, World
from tests.fake_kraken import Request

REQUEST_BOUNDARIES = ("request before", "request after", "request lost")
"""The sender dies while its request is on its way and is processed all the same; after it was processed, before
the answer; and before it ever arrived."""
COMMIT_BOUNDARIES = ("commit before", "commit after")
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
POLITE = frozenset({128 + signal.SIGTERM, 128 + signal.SIGINT})


def end_at_request(world: World, boundary: str, number: int, signal_number: int) -> None:
    """Arm the Kraken: its `number`-th request from here on ends the newest run."""
    seen = 0

    def count(_request: Request) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            world.processes.end_current(signal_number)

    if boundary == "request after":
        world.kraken.after = count
    else:
        world.kraken.before = count
    if boundary == "request lost":
        world.kraken.fault("*", "drop_before", skip=number - 1)


def act_until(world: World, scene: str, boundary: str, number: int, signal_number: int = signal.SIGKILL) -> Run:
    """The scene's command, ended at one boundary."""
    return run_until(world, SCENES[scene].arguments, boundary, number, signal_number)


def run_until(world: World, arguments: tuple[str, ...], boundary: str, number: int, signal_number: int) -> Run:
    """Any command, ended at one boundary. Faults that are left over are gone then."""
    kind, when = boundary.split()
    if kind == "commit":
        return world.run(*arguments, end=End(when, number, signal_number))
    end_at_request(world, boundary, number, signal_number)
    run = world.run(*arguments)
    world.kraken.before = world.kraken.after = None
    world.kraken.clear_faults()
    return run


def count_boundaries(stage: Stage, scene: str) -> dict[str, int]:
    """How many requests and commits the scene's command makes when nothing disturbs it."""
    undisturbed = stage.undisturbed(scene)
    return {"request": len(undisturbed.requests), "commit": undisturbed.commits}


class Kills:
    """One run, ended once."""

    name = "kills"
    about = "a run ended at one boundary"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every boundary of every scene, with every signal."""
        for scene in SCENES:
            yield from self.trials_of(stage, scene)

    def trials_of(self, stage: Stage, scene: str) -> Iterator[str]:
        boundaries = count_boundaries(stage, scene)
        for signal_name in SIGNALS:
            for boundary in (*REQUEST_BOUNDARIES, *COMMIT_BOUNDARIES):
                for number in range(1, boundaries[boundary.split()[0]] + 1):
                    yield SEPARATOR.join((self.name, f"{signal_name}, {boundary}", f"{scene}, {number}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, how, where = trial.split(SEPARATOR)
        (signal_name, boundary), (scene, number) = how.split(", "), where.split(", ")
        world = stage.set(scene)
        try:
            run = act_until(world, scene, boundary, int(number), SIGNALS[signal_name])
            check_end(run, signal_name)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


def check_end(run: Run, signal_name: str) -> None:
    """It was ended, and not by anything else. A polite signal may come when the work is done already."""
    if signal_name == "SIGKILL":
        assert run.exit_code == -signal.SIGKILL, f"it was not killed: {run.words}"
    else:
        assert run.exit_code in POLITE | OUTCOMES, run.words
        assert "Traceback" not in run.stderr, run.words


class DoubleKills:
    """The run that recovers is killed as well."""

    name = "double kills"
    about = "a run killed, and the recovering run killed too"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        chance = random.Random(seed)
        counted = {scene: count_boundaries(stage, scene) for scene in SCENES}
        for _ in range(runs):
            scene = chance.choice(list(SCENES))
            first, second = (chance.choice((*REQUEST_BOUNDARIES, *COMMIT_BOUNDARIES)) for _ in range(2))
            number = chance.randint(1, counted[scene][first.split()[0]])
            yield SEPARATOR.join((self.name, scene, f"{first} {number}, then {second} {chance.randint(1, 9)}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, scene, both = trial.split(SEPARATOR)
        (first, number), (second, later) = (part.rsplit(" ", 1) for part in both.split(", then "))
        world = stage.set(scene)
        try:
            act_until(world, scene, first, int(number))
            world.council_is_silent()
            run_until(world, ("tick",), second, int(later), signal.SIGKILL)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


def play_clean(stage: Stage, scene: str) -> None:
    """The scene without any disturbance: what the other trials are measured by."""
    world = stage.set(scene)
    try:
        check_words(act(world, scene, wait_seconds=CALM_WAIT_SECONDS))
        recover(world)
        guard_is_awake(world)
    finally:
        world.close()
