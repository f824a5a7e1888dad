"""A run may die at any boundary. All of them for one scene, a part of the others; `python -m tests.chaos` has all."""

import pytest

from tests.chaos.kills import COMMIT_BOUNDARIES, REQUEST_BOUNDARIES, DoubleKills, Kills, play_clean
from tests.chaos.scenes import SCENES, Stage

IN_FULL = ("a stop that is hit",)


@pytest.mark.parametrize("scene", SCENES)
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


@pytest.mark.parametrize("scene", SCENES)
def test_any_ending_at_a_boundary_leaves_a_consistent_journal(scene: str, stage: Stage) -> None:
    kills = Kills()
    trials = list(kills.trials_of(stage, scene))

    for trial in trials[::37]:
        kills.play(stage, trial)


@pytest.mark.long
def test_a_recovering_run_may_be_killed_too(stage: Stage) -> None:
    kills = DoubleKills()

    for trial in kills.trials(stage, 12, seed=1):
        kills.play(stage, trial)
