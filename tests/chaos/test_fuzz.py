"""Drawn settings, command lines and answers: some of each here, all that anybody wants in `python -m tests.chaos`."""

import pytest

from tests.chaos.chapters import all_properties
from tests.chaos.properties import try_cases
from tests.chaos.scenes import Stage

CASES = {
    "settings": 500,
    "env file": 500,
    "surroundings": 25,
    "arguments": 24,
    "an answer to the adapter": 500,
    "answers to a run": 12,
    "a program's answer": 20,
    "an agent": 20,
    "the mood": 200,
}
"""How many of each are tried here."""


@pytest.mark.parametrize("wanted", all_properties(), ids=lambda wanted: wanted.name)
def test_nonsense_is_no_traceback_no_order_and_no_loss(wanted, stage: Stage) -> None:  # type: ignore[no-untyped-def]
    assert try_cases(wanted, stage, seed=1, count=CASES[wanted.name]) > 0
