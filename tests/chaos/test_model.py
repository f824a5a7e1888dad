"""botctl against a simple model of it: 2,000 steps of anything; `python -m tests.chaos --chapter model` plays more."""

from collections.abc import Iterator

import pytest

from tests.chaos.model import STEPS, Model, play_game
from tests.chaos.scenes import Stage
from tests.chaos.victims import Victims

CHUNKS, GAMES = 10, 4
"""So many tests of so many games each: a test is as much as one worker takes at a time."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Victims() as victims:
        yield Stage(victims)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_botctl_does_what_the_simple_model_does(chunk: int, stage: Stage) -> None:
    games = [play_game(stage, STEPS, chunk * GAMES + number) for number in range(GAMES)]

    assert sum(game.steps for game in games) >= 2000 / CHUNKS
    assert sum(game.undisturbed for game in games) >= 2 * STEPS / CHUNKS


def test_a_trial_plays_exactly_the_game_that_its_text_names(stage: Stage) -> None:
    chapter = Model()
    (trial,) = chapter.trials(stage, 1, seed=7)

    assert trial == "model: 50 steps: seed 7"
    assert chapter.play(stage, trial) == STEPS
    assert play_game(stage, STEPS, 7).played == play_game(stage, STEPS, 7).played
