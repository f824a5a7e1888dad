"""The Council's rules: how the members' verdicts become one decision."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from itertools import islice, product
from math import fsum

from botctl.domain.decisions import BUYERS, SELLERS, Action, Stance, Verdict


class CouncilRule(StrEnum):
    """What a decision takes. BULLISH and FEAR speak for a buy, BEARISH and GREED against it, NEUTRAL abstains.

    UNKNOWN never helps an order of either kind: a member that fails may keep the others from one, and brings none
    about. What is open has its stop meanwhile.
    """

    STORY = "story"
    """BUY = FEAR and BULLISH, SELL = GREED and BEARISH, and no other stance."""
    UNANIMOUS = "unanimous"
    """BUY = somebody for and nobody against, SELL = somebody against and nobody for, and nobody UNKNOWN."""
    MAJORITY = "majority"
    """BUY = more than half of all members for, SELL = more than half of all members against."""
    WEIGHTS = "weights"
    """BUY = the confidences for minus those against are more than half of the number of members, SELL = those against
    minus those for. Who is UNKNOWN counts fully on the other side of either."""


def combine(rule: CouncilRule, verdicts: Sequence[Verdict]) -> tuple[Action, str]:
    """The decision and its reason in one line. Without verdicts it is HOLD. Confidences are from 0 to 1."""
    if not verdicts:
        return Action.HOLD, "no agent answered"
    stances = [verdict.stance for verdict in verdicts]
    if rule is CouncilRule.STORY:
        action = {BUYERS: Action.BUY, SELLERS: Action.SELL}.get(frozenset(stances), Action.HOLD)
        return action, ", ".join(f"{verdict.agent} {verdict.stance}" for verdict in verdicts)
    named = ", ".join(f"{verdict.agent} {shown_stance(verdict.stance, verdict.confidence)}" for verdict in verdicts)
    if rule is CouncilRule.WEIGHTS:
        action, tally = _weigh(verdicts)
    else:
        decide = _unanimous if rule is CouncilRule.UNANIMOUS else _majority
        supporters, opponents = _count(stances, BUYERS), _count(stances, SELLERS)
        action = decide(supporters, opponents, stances)
        tally = f"{supporters} for and {opponents} against of {len(verdicts)}"
    return action, f"{rule}: {tally} ({named})"


SIDES = {Action.BUY: BUYERS, Action.SELL: SELLERS}
MOST_COUNCILS = 4096
"""So many verdicts are looked at: even of twenty members who give any stance these show all that they can decide."""


def never_decides(rule: CouncilRule, members: Sequence[Collection[Stance]]) -> dict[Action, tuple[Stance, ...]]:
    """The orders that a Council can never decide, whose members can give these stances; and for each the stances that
    it lacks: one of them, or more members who give them, would make it possible."""
    impossible: dict[Action, tuple[Stance, ...]] = {}
    for action, side in SIDES.items():
        if not _can_decide(rule, action, [_most_helpful(stances, side) for stances in members]):
            given = {stance for stances in members for stance in stances}
            missing = tuple(stance for stance in Stance if stance in side and stance not in given)
            impossible[action] = missing if rule is CouncilRule.STORY or len(missing) == len(side) else ()
    return impossible


def _most_helpful(stances: Collection[Stance], side: Collection[Stance]) -> list[Stance]:
    """What a member does for an order: speaks for it if it can, else abstains, else whatever it can."""
    speaking = sorted(stance for stance in stances if stance in side)
    return speaking or [stance for stance in stances if stance is Stance.NEUTRAL] or sorted(stances)


def _can_decide(rule: CouncilRule, action: Action, members: Sequence[Sequence[Stance]]) -> bool:
    councils = islice(product(*members), MOST_COUNCILS)
    return any(combine(rule, [Verdict("", stance, "") for stance in said])[0] is action for said in councils)


def shown_stance(stance: str, confidence: float) -> str:
    """A stance as people read it, with its confidence unless that is 1."""
    return stance if confidence == 1 else f"{stance} {confidence:.4g}"


def _unanimous(supporters: int, opponents: int, stances: Sequence[Stance]) -> Action:
    if Stance.UNKNOWN in stances or bool(supporters) == bool(opponents):
        return Action.HOLD
    return Action.BUY if supporters else Action.SELL


def _majority(supporters: int, opponents: int, stances: Sequence[Stance]) -> Action:
    if 2 * supporters > len(stances):
        return Action.BUY
    return Action.SELL if 2 * opponents > len(stances) else Action.HOLD


def _weigh(verdicts: Sequence[Verdict]) -> tuple[Action, str]:
    supporters = _weights(verdicts, BUYERS)
    opponents = _weights(verdicts, SELLERS)
    unknown = _count((verdict.stance for verdict in verdicts), {Stance.UNKNOWN})
    half = len(verdicts) / 2
    action = Action.HOLD
    if fsum([*supporters, *(-weight for weight in opponents), -unknown]) > half:
        action = Action.BUY
    elif fsum([*opponents, *(-weight for weight in supporters), -unknown]) > half:
        action = Action.SELL
    missing = f", {unknown} unknown" if unknown else ""
    return action, f"{fsum(supporters):.4g} for, {fsum(opponents):.4g} against{missing}, {half:.4g} to be exceeded"


def _weights(verdicts: Sequence[Verdict], stances: Iterable[Stance]) -> list[float]:
    return [verdict.confidence for verdict in verdicts if verdict.stance in stances]


def _count(said: Iterable[Stance], stances: Iterable[Stance]) -> int:
    return sum(stance in stances for stance in said)
