"""The machinery bites: each fault that is put into the product on purpose is caught, by the right invariant."""

import pytest

from tests.chaos.campaign import attempt
from tests.chaos.chapters import CHAPTERS
from tests.chaos.comparison import BASE, EXIT_CODE
from tests.chaos.invariants import AFTER_LIES
from tests.chaos.lie_families import PROMISES
from tests.chaos.mutations import MUTATIONS, Mutation, Replacement, mutated_stage
from tests.chaos.scenes import Stage
from tests.postgres import Server

AT_EVERY_CHANGE = frozenset({"an order without an answer is sent again"})
"""The others are tried with `-m long`: each needs a fork server of its own."""


@pytest.mark.parametrize(
    "name", [name if name in AT_EVERY_CHANGE else pytest.param(name, marks=pytest.mark.long) for name in MUTATIONS]
)
def test_the_fault_is_caught_by_its_invariant(name: str, database_server: Server | None) -> None:
    mutation = MUTATIONS[name]

    with mutated_stage(mutation, database_server) as stage:
        failures = failures_of(mutation, stage)

    said = (f"Broken: {mutation.broken}: ", f"Surprise: AssertionError: {mutation.broken}: ")
    assert any(failure.startswith(said) for failure in failures), failures


@pytest.mark.long
@pytest.mark.parametrize("name", MUTATIONS)
def test_without_the_fault_the_same_trials_pass(name: str, stage: Stage) -> None:
    assert failures_of(MUTATIONS[name], stage) == []


def failures_of(mutation: Mutation, stage: Stage) -> list[str]:
    outcomes = [attempt(CHAPTERS, stage, trial) for trial in mutation.trials]
    return [outcome.failure for outcome in outcomes if outcome.failure]


@pytest.mark.parametrize("name", MUTATIONS)
def test_it_names_an_invariant_that_there_is(name: str) -> None:
    assert MUTATIONS[name].broken in [BASE, EXIT_CODE, *PROMISES, *(invariant.__name__ for invariant in AFTER_LIES)]


@pytest.mark.parametrize("name", MUTATIONS)
def test_it_still_fits_the_product(name: str) -> None:
    assert MUTATIONS[name].mutated_files()


def test_a_mutation_that_no_longer_fits_says_so() -> None:
    for old in ("stop = 1", "stop = 2"):
        with pytest.raises(AssertionError, match="no longer fits"):
            Replacement("stops.py", old, "stop = 0").apply("stop = 1\nstop = 1\n")
