"""Market sentiment over time: the Fear & Greed index as it was known at each moment."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from botctl.domain.decisions import Stance, sentiment_stance

MAX_READING_AGE = timedelta(hours=48)
"""An older reading of the index, by its own time stamp, is not used."""
MAX_READING_AGE_SECONDS = int(MAX_READING_AGE.total_seconds())

SENTIMENT_STANCES = (Stance.UNKNOWN, Stance.FEAR, Stance.GREED, Stance.NEUTRAL)
"""The possible stances of the sentiment agent; a backtest's arrays hold their index in this tuple."""

FIXED_INDEX = {Stance.FEAR: 25, Stance.GREED: 75, Stance.NEUTRAL: 50}
"""An index value for each stance of a FixedSentiment."""


@dataclass(frozen=True)
class SentimentHistory:
    """Readings of the index, 0 to 100, oldest first, with the unix seconds of their measurement."""

    measured: Sequence[int]
    indices: Sequence[int]

    def reading_at(self, moment: float) -> tuple[int, int] | None:
        """The newest reading at `moment` and when it was measured; None when there is none or it is too old."""
        newest = bisect_right(self.measured, moment) - 1
        if newest < 0 or moment - self.measured[newest] > MAX_READING_AGE_SECONDS:
            return None
        return self.indices[newest], self.measured[newest]

    def stance_at(self, moment: float) -> Stance:
        reading = self.reading_at(moment)
        return Stance.UNKNOWN if reading is None else sentiment_stance(reading[0])


@dataclass(frozen=True)
class FixedSentiment:
    """The same stance at all times, where no history of the index is available."""

    stance: Stance

    def reading_at(self, moment: float) -> tuple[int, int] | None:
        """An index value of that stance, measured at `moment`."""
        return (FIXED_INDEX[self.stance], int(moment)) if self.stance in FIXED_INDEX else None

    def stance_at(self, _moment: float) -> Stance:
        return self.stance


SentimentSeries = SentimentHistory | FixedSentiment
