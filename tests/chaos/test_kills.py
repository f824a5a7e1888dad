"""A run may die at any boundary. Three of them here, more with `-m long`; `python -m tests.chaos` has all."""

import pytest

from tests.chaos.kills import COMMIT_BOUNDARIES, REQUEST_BOUNDARIES, DoubleKills, Kills, play_clean
from tests.chaos.scenes import SCENES, Stage
from tests.quick import by_turns, parametrize

IN_FULL = ("a stop that is hit",)
ONE_OF_EACH = (
    "SIGKILL, request after: a sell by hand, 3",
    "SIGKILL, request lost: a stop that is hit, 3",
    "SIGKILL, commit before: a buy by hand, 6",
    "SIGKILL, commit after: a tick that sells, 5",
    "SIGKILL, request before: a buy by hand, 6",
    "SIGTERM, request after: a tick that buys, 3",
    "SIGINT, commit before: a stop that is hit, 2",
)
"""Every boundary and every signal, most of them where an order is under way."""


@parametrize("scene", SCENES, quick=1)
def test_every_scene_ends_well_when_nobody_disturbs_it(scene: str, stage: Stage) -> None:
    play_clean(stage, scene)


@pytest.mark.long
@pytest.mark.parametrize("boundary", [*REQUEST_BOUNDARIES, *COMMIT_BOUNDARIES])
@pytest.mark.parametrize("scene", IN_FULL)
def test_a_run_killed_at_any_boundary_loses_and_doubles_nothing(scene: str, boundary: str, stage: Stage) -> None:
    kills = Kills()
    trials = [trial for trial in kills.trials_of(stage, scene) if f"SIGKILL, {boundary}" in trial]

    assert trials
    for trial in trials:
        kills.play(stage, trial)


@parametrize("trial", ONE_OF_EACH, quick=3)
def test_an_ending_at_a_boundary_loses_and_doubles_nothing(trial: str, stage: Stage) -> None:
    Kills().play(stage, f"kills: {trial}")


@by_turns("scene", SCENES, turn=1, of=3)
def test_any_ending_at_a_boundary_leaves_a_consistent_journal(scene: str, stage: Stage) -> None:
    kills = Kills()
    trials = list(kills.trials_of(stage, scene))

    for trial in trials[::193]:
        kills.play(stage, trial)


@pytest.mark.long
def test_a_recovering_run_may_be_killed_too(stage: Stage) -> None:
    kills = DoubleKills()

    for trial in kills.trials(stage, 12, seed=1):
        kills.play(stage, trial)
