"""Verdicts of the Council's members, and its decisions."""

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
"""The technical agent's opinions, which are numbers in a backtest's arrays, as stances."""


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


BUYERS = frozenset({Stance.BULLISH, Stance.FEAR})
SELLERS = frozenset({Stance.BEARISH, Stance.GREED})

RSI_CEILING = 70.0
"""Above it the market is overbought, and the technical agent is not BULLISH."""
FEAR_UP_TO = 46
GREED_FROM = 55
"""The Fear & Greed index's own classes: fear up to 46, greed from 55, neutral between."""


@dataclass(frozen=True)
class Verdict:
    agent: str
    stance: Stance
    reason: str
    confidence: float = 1.0
    """From 0 to 1; it counts under COUNCIL_RULE=weights alone."""


@dataclass(frozen=True)
class CouncilDecision:
    """The Council's decision on one symbol. `error` is that of an agent that failed."""

    symbol: str
    action: Action
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    error: str = ""


def sentiment_stance(index: int) -> Stance:
    """The stance for a Fear & Greed index of 0 to 100."""
    if index <= FEAR_UP_TO:
        return Stance.FEAR
    return Stance.GREED if index >= GREED_FROM else Stance.NEUTRAL
