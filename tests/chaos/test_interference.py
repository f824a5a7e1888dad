"""The owner or the price may lay hands on a resting stop at any moment. Two of them here, each act with `-m long`;
`python -m tests.chaos --chapter interference` has all."""

import pytest

from tests.chaos.interference import ACTS, Interference
from tests.chaos.scenes import RESTING, Stage
from tests.quick import parametrize

AT_THE_WORST_MOMENTS = (
    "the price falls through it: a hit stop above a resting one; before request 3; coins not held",
    "he cancels it: a resting stop that moves; before request 4; coins held",
    "the price falls through it and is back: a buy with a resting stop; after request 9; coins not held",
    "it fires and fills a quarter: a hit stop above a resting one; after request 2; coins held",
    "the price halves: a sell of a part beside a resting stop; after request 4; coins held",
    "he halves it, and it fires: a liquidation beside a resting stop; before request 4; coins not held",
    "he raises it above the price: a tick that sells beside a resting stop; after request 6; coins held",
)
"""Between a cancel and its answer, an amendment and its answer, an entry and its stop."""
EACH = 2
"""Moments of an act with `-m long`, other ones for each act: one while coins are held for stops, and one while not."""


@parametrize("trial", AT_THE_WORST_MOMENTS, quick=2)
def test_no_interference_sells_twice_or_leaves_a_trade_bare(trial: str, stage: Stage) -> None:
    Interference().play(stage, f"interference: {trial}")


@pytest.mark.long
@pytest.mark.parametrize("act", ACTS)
def test_no_interference_at_any_moment_breaks_a_promise(act: str, stage: Stage) -> None:
    number = list(ACTS).index(act)
    interference, scene = Interference(), RESTING[number % len(RESTING)]
    trials = [trial for trial in interference.trials_of(stage, scene) if f": {act}: " in trial]
    distance = len(trials) // EACH

    for trial in trials[number % distance :: distance]:
        interference.play(stage, trial)
