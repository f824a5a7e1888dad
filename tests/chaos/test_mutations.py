"""The machinery bites: each fault that is put into the product on purpose is caught, by the right invariant."""

from pathlib import Path

import pytest

from tests.chaos.campaign import attempt
from tests.chaos.chapters import CHAPTERS
from tests.chaos.invariants import SETTLED
from tests.chaos.mutations import MUTATIONS, Replacement, play_mutated
from tests.chaos.scenes import Stage


@pytest.mark.long
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_fault_is_caught_by_its_invariant(name: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[name]

    ended = play_mutated(mutation, tmp_path)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"Broken: {mutation.broken}: " in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", MUTATIONS)
def test_without_the_fault_the_same_trials_pass(name: str, stage: Stage) -> None:
    outcomes = [attempt(CHAPTERS, stage, trial) for trial in MUTATIONS[name].trials]

    assert [outcome for outcome in outcomes if outcome.failure] == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_it_names_an_invariant_that_there_is(name: str) -> None:
    assert MUTATIONS[name].broken in [invariant.__name__ for invariant in SETTLED]


def test_a_mutation_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text("stop = 1\nstop = 1\n")

    for old in ("stop = 1", "stop = 2"):
        with pytest.raises(AssertionError, match="no longer fits"):
            Replacement("stops.py", old, "stop = 0").apply(tmp_path)
