"""The machinery bites: each fault that is put into the product on purpose is caught, by the right invariant."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgres
from tests.bot_runner import PROJECT
from tests.chaos.campaign import attempt
from tests.chaos.chapters import CHAPTERS
from tests.chaos.comparison import BASE, EXIT_CODE
from tests.chaos.invariants import AFTER_LIES
from tests.chaos.lie_families import PROMISES
from tests.chaos.mutated_plugin import MUTATED_FILES
from tests.chaos.mutations import MUTATIONS, Mutation, Replacement, mutated_stage
from tests.chaos.scenes import Stage
from tests.chaos.tested_mutations import SCENARIOS, TESTED
from tests.postgres import Server
from tests.quick import parametrize

SAMPLE = 3
"""Faults of each kind with `-m long`: what puts them in and looks for them works. CONTRIBUTING.md says when all run."""


@parametrize("name", MUTATIONS, quick=0, long=SAMPLE)  # each needs a fork server of its own
def test_the_fault_is_caught_by_its_invariant(name: str, database_server: Server | None) -> None:
    mutation = MUTATIONS[name]

    with mutated_stage(mutation, database_server) as stage:
        failures = failures_of(mutation, stage)

    said = (f"Broken: {mutation.broken}: ", f"Surprise: AssertionError: {mutation.broken}: ")
    assert any(failure.startswith(said) for failure in failures), failures


@parametrize("name", MUTATIONS, quick=0, long=SAMPLE)
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


@parametrize("name", TESTED, quick=0, long=SAMPLE)  # each needs a pytest of its own
def test_the_fault_is_caught_by_its_test(name: str, tmp_path: Path) -> None:
    mutation = TESTED[name]
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps(mutation.mutated_files()))
    environment = {name: value for name, value in os.environ.items() if name != postgres.FOLDER}  # this run's own
    environment[MUTATED_FILES] = str(texts)
    options = ("-p", "tests.chaos.mutated_plugin", "-p", "no:cacheprovider", "-o", "addopts=", "-q", "--tb=no", "-x")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"{SCENARIOS}/{mutation.file}", "-k", mutation.test],
        cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert f"FAILED {SCENARIOS}/{mutation.file}::{mutation.test}" in run.stdout, run.stdout


@pytest.mark.parametrize("name", TESTED)
def test_it_names_a_test_that_there_is_and_fits_the_product(name: str) -> None:
    mutation = TESTED[name]

    assert mutation.mutated_files()
    assert f"\ndef {mutation.test}" in (PROJECT / SCENARIOS / mutation.file).read_text()


def test_a_mutation_that_no_longer_fits_says_so() -> None:
    for old in ("stop = 1", "stop = 2"):
        with pytest.raises(AssertionError, match="no longer fits"):
            Replacement("stops.py", old, "stop = 0").apply("stop = 1\nstop = 1\n")
