"""The mood of the market over time: the Fear & Greed index as it was known at each moment."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from botctl.domain.decisions import Action, Stance, Verdict, combine, sentiment_stance

TRUSTED_FOR = timedelta(hours=48)
"""No reading of the index is believed for longer, by its own time stamp."""
TRUSTED_SECONDS = int(TRUSTED_FOR.total_seconds())

SENTIMENT_STANCES = (Stance.UNKNOWN, Stance.FEAR, Stance.GREED, Stance.NEUTRAL)
"""The stances of a mood; where histories are read, each is its place in here."""

FIXED = {Stance.FEAR: 25, Stance.GREED: 75, Stance.NEUTRAL: 50}
"""An index for each stance that may stand fixed."""


@dataclass(frozen=True)
class SentimentHistory:
    """Readings of the index, 0 to 100, oldest first, with the unix seconds of their measurement."""

    measured: Sequence[int]
    indices: Sequence[int]

    def known_at(self, moment: float) -> tuple[int, int] | None:
        """The newest reading at `moment` and when it was measured; None when there is none, or it is too old."""
        place = bisect_right(self.measured, moment) - 1
        if place < 0 or moment - self.measured[place] > TRUSTED_SECONDS:
            return None
        return self.indices[place], self.measured[place]

    def stance_at(self, moment: float) -> Stance:
        """How the Council's sentiment agent reads it."""
        known = self.known_at(moment)
        return Stance.UNKNOWN if known is None else sentiment_stance(known[0])


@dataclass(frozen=True)
class FixedSentiment:
    """One stance for all times, where no history of the index is at hand."""

    stance: Stance

    def known_at(self, moment: float) -> tuple[int, int] | None:
        """An index of that stance, measured just now."""
        return (FIXED[self.stance], int(moment)) if self.stance in FIXED else None

    def stance_at(self, _moment: float) -> Stance:
        return self.stance


SentimentSeries = SentimentHistory | FixedSentiment


def decision_table(technical: Sequence[Stance], sentiments: Sequence[Stance] = SENTIMENT_STANCES) -> list[list[Action]]:
    """What the Council decides on each pair of a technical stance and a mood: its own rule, asked for every pair."""
    return [
        [
            combine("", (Verdict("technical", opinion, ""), Verdict("sentiment", sentiment, ""))).action
            for sentiment in sentiments
        ]
        for opinion in technical
    ]
