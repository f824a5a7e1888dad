"""How opinions become a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from botctl.domain import indicators


class Stance(StrEnum):
    BULLISH = "BULLISH"
    BEARISH = "BEARISH"
    FEAR = "FEAR"
    GREED = "GREED"
    NEUTRAL = "NEUTRAL"
    UNKNOWN = "UNKNOWN"


TECHNICAL_STANCES = {
    indicators.UNKNOWN: Stance.UNKNOWN,
    indicators.BULLISH: Stance.BULLISH,
    indicators.BEARISH: Stance.BEARISH,
    indicators.NEUTRAL: Stance.NEUTRAL,
}
"""The technical agent's opinions, which are numbers where histories are read, as stances."""


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


BUYERS = frozenset({Stance.BULLISH, Stance.FEAR})
SELLERS = frozenset({Stance.BEARISH, Stance.GREED})

RSI_CEILING = 70.0
"""Above it a rising market counts as overbought, and the technical agent keeps out."""
FEAR_UP_TO = 46
GREED_FROM = 55
"""The Fear & Greed index's own classes: fear up to 46, greed from 55, neutral between."""


@dataclass(frozen=True)
class Verdict:
    """One agent's opinion, with its reason in words."""

    agent: str
    stance: Stance
    reason: str


@dataclass(frozen=True)
class CouncilDecision:
    """What the Council says of one symbol. `error` tells of a member that failed."""

    symbol: str
    action: Action
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    error: str = ""


def sentiment_stance(index: int) -> Stance:
    """Where the Fear & Greed index (0 to 100) stands."""
    if index <= FEAR_UP_TO:
        return Stance.FEAR
    return Stance.GREED if index >= GREED_FROM else Stance.NEUTRAL


def combine(symbol: str, verdicts: Sequence[Verdict], error: str = "") -> CouncilDecision:
    """BUY = FEAR and BULLISH, SELL = GREED and BEARISH, with nobody of another stance; anything else is HOLD."""
    stances = frozenset(verdict.stance for verdict in verdicts)
    said = ", ".join(f"{verdict.agent} {verdict.stance}" for verdict in verdicts) or "nobody sat"
    action = Action.HOLD
    if stances == BUYERS:
        action = Action.BUY
    elif stances == SELLERS:
        action = Action.SELL
    return CouncilDecision(symbol, action, said, tuple(verdicts), error)
