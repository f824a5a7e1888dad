"""Answers may lie. One lie of two families at every change, one of each with `-m long`; `python -m tests.chaos
--chapter lies` draws as many as you like."""

import random

import pytest

from tests.chaos.lie_families import Family
from tests.chaos.lies import FAMILIES, Lies
from tests.chaos.scenes import Stage
from tests.quick import parametrize

SHORT = (
    "Ticker: a quiet day, BTC/USD, abc, /10, for a minute",
    "AssetPairs: a stop that is hit, lot_decimals, /1000, for one answer",
    "balances: a stop that is hit, BTC/USD, lacking, for a minute",
    "hidden trades of sells: a stop that is hit, canceled, nothing, for ten seconds, with no trade shown",
    "stopped at a request: a buy by hand, before it is processed, request 4, it rises by half",
    "OHLC: two hours without a run, all prices, *1.1, all, for one answer",
    "old answers: a quiet day, Ticker, /2, dated, for a minute",
    "hanging orders: a sell by hand, half filled, for one answer",
    "deadline elapsed: a sell of a part, placed all the same, listed at once, once, for one answer",
    "amid other lies: a crash by 40 %, its ticker, its balance left out, /10, for one answer",
)


@parametrize("trial", SHORT, quick=2)
def test_no_lie_moves_money(trial: str, stage: Stage) -> None:
    Lies().play(stage, f"lies: {trial}")


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_lie_of_a_family_moves_money(family: Family, stage: Stage) -> None:
    lies = Lies()

    lies.play(stage, lies.trial_of(family, random.Random(family.name)))


def test_every_family_has_a_name_of_its_own_and_choices_that_can_be_read_again() -> None:
    families = FAMILIES
    choices = [choice for family in families for choices in family.choices for choice in choices]

    assert len({family.name for family in families}) == len(families)
    assert [choice for choice in choices if ", " in choice or ": " in choice] == []
