"""botctl against a simple model of it: 250 steps of anything with `-m long`, 2,000 with `-m soak`;
`python -m tests.chaos --chapter model` plays as many as you like."""

import pytest

from tests.chaos.model import STEPS, Model, play_game
from tests.chaos.scenes import Stage
from tests.quick import parametrize

CHUNKS, GAMES = 40, 1
"""So many tests of so many games each: a test is as much as one worker takes at a time."""


@pytest.mark.long
def test_in_a_short_game_botctl_does_what_the_simple_model_does(stage: Stage) -> None:
    game = play_game(stage, 20, 0)

    assert game.steps == 20
    assert game.undisturbed > 1


@parametrize("chunk", range(CHUNKS), quick=0, long=5)
def test_botctl_does_what_the_simple_model_does(chunk: int, stage: Stage) -> None:
    games = [play_game(stage, STEPS, chunk * GAMES + number) for number in range(GAMES)]

    assert sum(game.steps for game in games) >= 2000 / CHUNKS
    assert sum(game.undisturbed for game in games) >= GAMES


@parametrize("number", range(6), quick=0, long=3)
def test_with_resting_stops_nothing_is_lost_or_sold_twice(number: int, stage: Stage) -> None:
    game = play_game(stage, STEPS, number, resting=True)

    assert game.steps == STEPS


@pytest.mark.long
def test_a_trial_plays_exactly_the_game_that_its_text_names(stage: Stage) -> None:
    (trial,) = Model().trials(stage, 1, seed=7)
    first, again = (play_game(stage, 12, 7) for _ in range(2))

    assert trial == "model: 50 steps: seed 7"
    assert Model().play(stage, trial.replace("50", "12")) == 12
    assert first.played == again.played
