"""Kraken may fail in any way at any request. One fault here, each class with `-m long`; `python -m tests.chaos` has
all."""

from itertools import islice

import pytest

from tests.chaos.exchange_conditions import CONDITIONS, ExchangeConditions
from tests.chaos.fault_kinds import FOR_ORDERS
from tests.chaos.faults import FaultPairs, Faults, FaultsInRecovery, run_in_trouble
from tests.chaos.scenes import SCENES, Stage
from tests.chaos.summary_table import class_of
from tests.chaos.world import CALM_WAIT_SECONDS
from tests.quick import by_turns, parametrize

ONE_IN = 397
"""Of all single faults so many are left out between two: a prime, so that every kind and position has its turn."""


def test_a_fault_reaches_the_request_it_is_meant_for(stage: Stage) -> None:
    world = stage.set("a buy by hand")
    world.kraken.clear_requests()

    run_in_trouble(world, "a buy by hand", {6: "reset after", 7: "HTTP 502"}, wait_seconds=CALM_WAIT_SECONDS)

    spoiled = [(request.endpoint, request.fault) for request in world.kraken.requests if request.fault]
    assert spoiled == [("AddOrder", "reset_after"), ("Time", "status")]
    world.close()


def test_a_refused_connection_is_refused_where_it_is_meant_to_be(stage: Stage) -> None:
    world = stage.set("a buy by hand")
    world.kraken.clear_requests()

    run = run_in_trouble(world, "a buy by hand", {6: "refused"}, wait_seconds=CALM_WAIT_SECONDS)

    assert [request.endpoint for request in world.kraken.requests] == stage.undisturbed("a buy by hand").endpoints[:5]
    assert run.exit_code == 69
    world.close()


@by_turns("scene", SCENES, turn=0, of=3)
def test_no_fault_of_one_request_breaks_a_promise(scene: str, stage: Stage) -> None:
    faults = Faults()
    offset = list(SCENES).index(scene)

    for trial in islice(faults.trials_of(stage, scene), offset, None, ONE_IN):
        faults.play(stage, trial)


@pytest.mark.long
def test_no_class_of_faults_of_an_order_breaks_a_promise(stage: Stage) -> None:
    faults = Faults()
    of_class = {class_of(kind): f"faults: {kind}: a buy by hand, AddOrder at 6" for kind in FOR_ORDERS}

    for trial in of_class.values():
        faults.play(stage, trial)


@pytest.mark.long
@pytest.mark.parametrize("scene", ["a buy by hand", "a stop that is hit"])
def test_no_fault_of_an_order_breaks_a_promise(scene: str, stage: Stage) -> None:
    faults = Faults()
    trials = [trial for trial in faults.trials_of(stage, scene) if "AddOrder" in trial]

    assert len(trials) > 100
    for trial in trials[::23]:
        faults.play(stage, trial)


def test_a_sell_that_came_too_late_leaves_a_true_audit_trail(stage: Stage) -> None:
    """Its second attempt once told a state that the first one's refusal had already changed."""
    Faults().play(stage, "faults: EService:Deadline elapsed: a sell by hand, AddOrder at 3")


@parametrize("seed", range(4), quick=0, long=2)
def test_no_two_faults_of_a_run_break_a_promise(seed: int, stage: Stage) -> None:
    pairs = FaultPairs()

    for trial in pairs.trials(stage, 6, seed):
        pairs.play(stage, trial)


@pytest.mark.long
def test_no_fault_of_the_recovering_run_makes_an_order_disappear(stage: Stage) -> None:
    faults = FaultsInRecovery()
    trials = list(faults.trials(stage, 0, 0))

    for trial in trials[::2593]:
        faults.play(stage, trial)


@pytest.mark.long
@pytest.mark.parametrize("condition", CONDITIONS)
def test_no_mood_of_kraken_breaks_a_promise(condition: str, stage: Stage) -> None:
    scene = ("a buy by hand", "a tick that stops out two")[list(CONDITIONS).index(condition) % 2]

    ExchangeConditions().play(stage, f"conditions: {condition}: {scene}")
