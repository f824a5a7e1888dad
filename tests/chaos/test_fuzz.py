"""Drawn settings, command lines and answers: some of each here, more with `-m long`."""

import pytest

from tests.chaos.chapters import all_properties
from tests.chaos.properties import Property, try_cases
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
    "the sentiment": 200,
}
"""How many of each a campaign tries."""
ONE_IN, ONE_IN_LONG = 32, 6
"""The part of them that is tried at every change, and with `-m long`."""


@pytest.mark.parametrize("wanted", all_properties(), ids=lambda wanted: wanted.name)
def test_nonsense_is_no_traceback_no_order_and_no_loss(wanted: Property, stage: Stage) -> None:
    assert try_cases(wanted, stage, seed=1, count=max(1, CASES[wanted.name] // ONE_IN)) > 0


@pytest.mark.long
@pytest.mark.parametrize("wanted", all_properties(), ids=lambda wanted: wanted.name)
def test_much_nonsense_is_no_traceback_no_order_and_no_loss(wanted: Property, stage: Stage) -> None:
    assert try_cases(wanted, stage, seed=1, count=CASES[wanted.name] // ONE_IN_LONG) > 0
