"""The sentiment agent: the Fear & Greed index."""

from botctl.domain.decisions import Stance, Verdict, sentiment_stance
from botctl.ports import Briefing


class SentimentAgent:
    """The Fear & Greed index as FEAR, GREED or NEUTRAL; UNKNOWN when it is unavailable or old."""

    stances = (Stance.FEAR, Stance.GREED, Stance.NEUTRAL, Stance.UNKNOWN)

    def judge(self, briefing: Briefing) -> Verdict:
        reading = briefing.sentiment.read()
        if reading.index is None:
            return Verdict("sentiment", Stance.UNKNOWN, reading.why)
        return Verdict("sentiment", sentiment_stance(reading.index), f"Fear & Greed {reading.index} ({reading.why})")
