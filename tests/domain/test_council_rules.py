"""How verdicts become a decision: by the rule of COUNCIL_RULE, whatever the members, and never by an outage."""

from fractions import Fraction
from itertools import product
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botctl.domain.council_rules import CouncilRule, combine, never_decides
from botctl.domain.decisions import BUYERS, SELLERS, Action, Stance, Verdict

RULES = list(CouncilRule)
STORY, UNANIMOUS, MAJORITY, WEIGHTS = RULES
MIRROR = {
    Stance.BULLISH: Stance.BEARISH,
    Stance.BEARISH: Stance.BULLISH,
    Stance.FEAR: Stance.GREED,
    Stance.GREED: Stance.FEAR,
    Stance.NEUTRAL: Stance.NEUTRAL,
    Stance.UNKNOWN: Stance.UNKNOWN,
}
MIRRORED = {Action.BUY: Action.SELL, Action.SELL: Action.BUY, Action.HOLD: Action.HOLD}

rules = st.sampled_from(RULES)
stances = st.sampled_from(list(Stance))
verdicts = st.builds(Verdict, st.sampled_from("abc"), stances, st.just(""), st.just(1.0) | st.floats(0, 1))
councils = st.lists(verdicts, max_size=7)


def decide(rule: CouncilRule, *said: Stance) -> Action:
    return combine(rule, [Verdict(f"agent{place}", stance, "") for place, stance in enumerate(said)])[0]


@pytest.mark.parametrize(("technical", "sentiment"), list(product(Stance, repeat=2)))
def test_by_the_story_two_buy_on_fear_and_bullish_and_sell_on_greed_and_bearish(
    technical: Stance, sentiment: Stance
) -> None:
    expected = Action.HOLD
    if {technical, sentiment} == {Stance.BULLISH, Stance.FEAR}:
        expected = Action.BUY
    if {technical, sentiment} == {Stance.BEARISH, Stance.GREED}:
        expected = Action.SELL

    assert decide(STORY, technical, sentiment) == expected


@given(st.lists(stances, max_size=6), st.sampled_from([Stance.UNKNOWN, Stance.NEUTRAL]), st.integers(0, 6))
def test_by_the_story_one_who_does_not_know_holds_everybody(said: list[Stance], unsure: Stance, place: int) -> None:
    said.insert(place, unsure)

    assert decide(STORY, *said) is Action.HOLD


@given(st.lists(stances, max_size=7))
def test_unanimous_is_somebody_for_nobody_against_and_nobody_unknown(said: list[Stance]) -> None:
    supported, opposed = bool(BUYERS & {*said}), bool(SELLERS & {*said})

    decision = decide(UNANIMOUS, *said)

    known = Stance.UNKNOWN not in said
    assert (decision is Action.BUY) == (supported and not opposed and known)
    assert (decision is Action.SELL) == (opposed and not supported and known)


@given(st.lists(stances, max_size=7))
def test_majority_is_more_than_half_of_all_members_whoever_abstains(said: list[Stance]) -> None:
    decision = decide(MAJORITY, *said)

    assert (decision is Action.BUY) == (sum(stance in BUYERS for stance in said) > len(said) / 2)
    assert (decision is Action.SELL) == (sum(stance in SELLERS for stance in said) > len(said) / 2)


@given(councils)
def test_weights_are_confidences_for_minus_against_beyond_half_of_the_members(said: list[Verdict]) -> None:
    sides = {**dict.fromkeys(BUYERS, 1), **dict.fromkeys(SELLERS, -1)}
    balance = sum((Fraction(each.confidence) * sides.get(each.stance, 0) for each in said), Fraction(0))
    unknown = sum(each.stance is Stance.UNKNOWN for each in said)

    decision, _ = combine(WEIGHTS, said)

    exceeds = abs(balance) - unknown - Fraction(len(said), 2)
    if abs(exceeds) > 1e-9:  # closer than that a sum of floats may fall on either side
        expected = Action.HOLD if exceeds < 0 else Action.BUY if balance > 0 else Action.SELL
        assert decision is expected


@pytest.mark.parametrize(
    ("confidences", "expected"),
    [((0.8, 0.8), Action.BUY), ((0.7, 0.8), Action.HOLD), ((1.0, 0.5), Action.HOLD), ((1.0, 0.51), Action.BUY)],
)
def test_half_of_the_weight_of_three_members_is_not_enough(confidences: tuple[float, float], expected: Action) -> None:
    said = [Verdict("a", Stance.BULLISH, "", confidences[0]), Verdict("b", Stance.FEAR, "", confidences[1])]

    assert combine(WEIGHTS, [*said, Verdict("c", Stance.NEUTRAL, "")])[0] is expected


BOTH_WAYS = [Verdict("a", Stance.BULLISH, ""), Verdict("b", Stance.FEAR, ""), Verdict("c", Stance.GREED, "")]


@example(WEIGHTS, BOTH_WAYS, 2)
@given(rules, councils, st.integers(0, 6))
def test_a_member_that_fails_never_brings_an_order_about(rule: CouncilRule, said: list[Verdict], place: int) -> None:
    failed = [Verdict(each.agent, Stance.UNKNOWN, "") if at == place else each for at, each in enumerate(said)]

    before, after = combine(rule, said)[0], combine(rule, failed)[0]

    assert after in (before, Action.HOLD)


@given(rules, councils)
def test_what_speaks_for_a_buy_speaks_against_a_sale(rule: CouncilRule, said: list[Verdict]) -> None:
    turned = [Verdict(each.agent, MIRROR[each.stance], "", each.confidence) for each in said]

    assert combine(rule, turned)[0] is MIRRORED[combine(rule, said)[0]]


@given(rules, councils, st.randoms(use_true_random=False))
def test_the_order_of_the_members_plays_no_part(rule: CouncilRule, said: list[Verdict], random: Random) -> None:
    shuffled = list(said)
    random.shuffle(shuffled)

    assert combine(rule, shuffled)[0] is combine(rule, said)[0]


@given(rules, st.integers(1, 7))
def test_nobody_buys_when_nobody_knows(rule: CouncilRule, members: int) -> None:
    assert decide(rule, *[Stance.UNKNOWN] * members) is Action.HOLD


@pytest.mark.parametrize("rule", RULES)
def test_without_members_nothing_is_decided(rule: CouncilRule) -> None:
    assert combine(rule, []) == (Action.HOLD, "no agent answered")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (STORY, "technical BULLISH, sentiment FEAR"),
        (UNANIMOUS, "unanimous: 2 for and 0 against of 2 (technical BULLISH 0.8, sentiment FEAR)"),
        (MAJORITY, "majority: 2 for and 0 against of 2 (technical BULLISH 0.8, sentiment FEAR)"),
        (WEIGHTS, "weights: 1.8 for, 0 against, 1 to be exceeded (technical BULLISH 0.8, sentiment FEAR)"),
    ],
)
def test_the_reason_names_who_said_what(rule: CouncilRule, reason: str) -> None:
    said = [Verdict("technical", Stance.BULLISH, "up", 0.8), Verdict("sentiment", Stance.FEAR, "30")]

    assert combine(rule, said) == (Action.BUY, reason)


# What a Council can never decide

TECHNICAL = frozenset({Stance.BULLISH, Stance.BEARISH, Stance.NEUTRAL, Stance.UNKNOWN})
SENTIMENT = frozenset({Stance.FEAR, Stance.GREED, Stance.NEUTRAL, Stance.UNKNOWN})
ANY = frozenset(Stance)


@pytest.mark.parametrize(
    ("rule", "members", "impossible"),
    [
        (STORY, [TECHNICAL, SENTIMENT], {}),
        (STORY, [TECHNICAL], {Action.BUY: (Stance.FEAR,), Action.SELL: (Stance.GREED,)}),
        (STORY, [ANY], {Action.BUY: (), Action.SELL: ()}),
        (STORY, [ANY, ANY], {}),
        (STORY, [TECHNICAL, SENTIMENT, {Stance.NEUTRAL}], {Action.BUY: (), Action.SELL: ()}),
        (STORY, [{Stance.BULLISH}, SENTIMENT], {Action.SELL: (Stance.BEARISH,)}),
        (UNANIMOUS, [TECHNICAL], {}),
        (UNANIMOUS, [TECHNICAL, {Stance.UNKNOWN}], {Action.BUY: (), Action.SELL: ()}),
        (UNANIMOUS, [{Stance.NEUTRAL}], {action: tuple(s for s in Stance if s in side) for action, side in (
            (Action.BUY, BUYERS), (Action.SELL, SELLERS))}),
        (MAJORITY, [TECHNICAL, {Stance.NEUTRAL}], {Action.BUY: (), Action.SELL: ()}),
        (MAJORITY, [TECHNICAL, {Stance.BULLISH}, {Stance.FEAR, Stance.NEUTRAL}], {Action.SELL: ()}),
        (WEIGHTS, [TECHNICAL, {Stance.NEUTRAL, Stance.FEAR}, {Stance.BEARISH, Stance.BULLISH}], {}),
        (WEIGHTS, [ANY] * 20, {}),
    ],
)  # fmt: skip
def test_a_council_is_told_what_it_can_never_decide(
    rule: CouncilRule, members: list[frozenset[Stance]], impossible: dict[Action, tuple[Stance, ...]]
) -> None:
    assert never_decides(rule, members) == impossible


@given(rules, st.lists(st.sets(stances, min_size=1), min_size=1, max_size=4))
def test_what_is_called_impossible_is_never_decided_and_nothing_else(
    rule: CouncilRule, members: list[set[Stance]]
) -> None:
    found = {combine(rule, [Verdict("", stance, "") for stance in said])[0] for said in product(*members)}

    assert {Action.BUY, Action.SELL} - found == set(never_decides(rule, members))
