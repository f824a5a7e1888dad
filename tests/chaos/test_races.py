"""Several runs at once, runs that wait, and a switch that is pulled; `python -m tests.chaos` has the rest."""

import pytest

from tests.chaos.kill_switch_races import ENTRIES, PULLS, KillSwitchRaces
from tests.chaos.races import Races
from tests.chaos.scenes import Stage
from tests.chaos.waits import Waits
from tests.quick import parametrize

ONE_IN = 83
"""Of all positions of a pull so many are left out between two: a prime, so that each kind has its turn."""


@parametrize("trial", ["buys: 2", "ticks: 2", "mixed: a tick that buys, tick + buy + pause (1.0)"], quick=1)
def test_of_two_runs_at_once_one_wins(trial: str, stage: Stage) -> None:
    Races().play(stage, f"races: {trial}")


@pytest.mark.long
def test_of_eight_runs_at_once_one_wins(stage: Stage) -> None:
    races = Races()

    for trial in ("races: ticks: 8", "races: buys: 8", *list(races.trials(stage, 2, seed=1))[-2:]):
        races.play(stage, trial)


@parametrize("trial", ["SIGINT: for the Council", "the next one: sell", "SIGTERM: for the lock"], quick=1)
def test_a_run_that_waits_may_be_ended(trial: str, stage: Stage) -> None:
    Waits().play(stage, f"waits: {trial}")


@pytest.mark.long
def test_any_run_that_waits_may_be_ended(stage: Stage) -> None:
    waits = Waits()

    for trial in list(waits.trials(stage, 0, 0))[::8]:
        waits.play(stage, trial)


@pytest.mark.long
def test_a_switch_that_is_pulled_while_the_council_sits_stops_it(stage: Stage) -> None:
    races = KillSwitchRaces()

    for trial in list(races.sittings())[::3]:
        races.play(stage, trial)


def test_a_pause_between_the_last_look_at_the_switch_and_the_intent_stops_the_entry(stage: Stage) -> None:
    """The switch was once read before the transaction that writes the buy down."""
    races = KillSwitchRaces()

    for number in stage.undisturbed("a buy by hand").begins:
        races.play(stage, f"kill switch: pause, statement: a buy by hand, {number}")


@pytest.mark.long
@pytest.mark.parametrize("what", PULLS)
def test_nothing_is_intended_after_a_pull_at_any_position(what: str, stage: Stage) -> None:
    races = KillSwitchRaces()
    trials = [trial for scene in ENTRIES for trial in races.trials_of(stage, scene, what)]

    for trial in trials[list(PULLS).index(what) :: ONE_IN]:
        races.play(stage, trial)
