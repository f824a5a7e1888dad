"""How opinions become a decision: BUY and SELL only when everybody leans that way."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.decisions import Action, Stance, Verdict, combine, sentiment_stance

stances = st.sampled_from(list(Stance))


def decide(*said: Stance) -> Action:
    return combine("BTC/USD", [Verdict(f"agent{place}", stance, "") for place, stance in enumerate(said)]).action


@pytest.mark.parametrize(("technical", "sentiment"), list(product(Stance, repeat=2)))
def test_two_members_buy_on_fear_and_bullish_sell_on_greed_and_bearish(technical: Stance, sentiment: Stance) -> None:
    expected = Action.HOLD
    if {technical, sentiment} == {Stance.BULLISH, Stance.FEAR}:
        expected = Action.BUY
    if {technical, sentiment} == {Stance.BEARISH, Stance.GREED}:
        expected = Action.SELL

    assert decide(technical, sentiment) == expected


@given(st.lists(stances, max_size=6), st.sampled_from([Stance.UNKNOWN, Stance.NEUTRAL]), st.integers(0, 6))
def test_one_who_does_not_know_holds_everybody(said: list[Stance], unsure: Stance, place: int) -> None:
    said.insert(place, unsure)

    assert decide(*said) is Action.HOLD


@given(st.lists(stances, max_size=6))
def test_the_order_of_the_members_plays_no_part(said: list[Stance]) -> None:
    assert decide(*said) == decide(*reversed(said))


def test_nobody_decides_nothing() -> None:
    assert decide() is Action.HOLD


def test_a_decision_names_who_said_what() -> None:
    decision = combine("BTC/USD", [Verdict("technical", Stance.BULLISH, "up"), Verdict("sentiment", Stance.FEAR, "30")])

    assert decision.reason == "technical BULLISH, sentiment FEAR"
    assert [verdict.reason for verdict in decision.verdicts] == ["up", "30"]


@given(st.integers(min_value=0, max_value=100))
def test_the_index_has_its_own_classes(index: int) -> None:
    expected = Stance.FEAR if index <= 46 else Stance.GREED if index >= 55 else Stance.NEUTRAL

    assert sentiment_stance(index) is expected
