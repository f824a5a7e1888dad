"""The Fear & Greed index of alternative.me, read at most once an hour and never believed when it is old."""

import json
import logging
import re
from datetime import datetime, timedelta
from http.client import HTTPException
from urllib.request import Request, urlopen

from botctl.domain.candles import from_unix
from botctl.domain.sentiment import TRUSTED_FOR
from botctl.ports import Clock, SentimentReading
from botctl.store import key_value
from botctl.timeouts import time_limit

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(hours=1)
CLOCK_TOLERANCE = timedelta(hours=1)
"""How far in the future a time stamp may lie: clocks differ a little, not by a day."""
TIMEOUT_SECONDS = 10
"""For all of it, however slowly the answer drips in."""
MOST_BYTES = 100_000
SENTIMENT = "sentiment"
WHOLE = re.compile(r"-?[0-9]{1,12}")
UNREADABLE = (
    OSError,
    HTTPException,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What an address that is down, something that speaks no HTTP, and JSON of any other shape can raise."""


class FearAndGreed:
    """Reads the index from its JSON API. An answer has `data: [{value, timestamp, ...}]`, all of it text."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self._reading: SentimentReading | None = None

    def read(self) -> SentimentReading:
        """The index now. What can't be read, or is too old by its own stamp, is None with the reason."""
        self._reading = self._reading or self._read()  # one try a run, however many symbols ask
        return self._reading

    def _read(self) -> SentimentReading:
        now = self.clock.now()
        kept = key_value.load_cached(SENTIMENT)
        try:
            if kept is not None and timedelta(0) <= now - kept[1] < KEPT_FOR:
                index, measured = kept[0].split()
                return _judge(int(index), datetime.fromisoformat(measured), now)
            index_now, measured_at = self._fetch()
        except UNREADABLE as error:
            log.info("the Fear & Greed index can't be read: %s", error)
            return SentimentReading(None, None, f"the index can't be read ({type(error).__name__})")
        key_value.save_cached(SENTIMENT, f"{index_now} {measured_at.isoformat()}", now)
        return _judge(index_now, measured_at, now)

    def _fetch(self) -> tuple[int, datetime]:
        request = Request(self.url, headers={"User-Agent": "botctl", "Accept": "application/json"})
        with time_limit(TIMEOUT_SECONDS), urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            body = json.loads(answer.read(MOST_BYTES))
        newest = body["data"][0]
        index, measured_at = _whole(newest["value"]), from_unix(_whole(newest["timestamp"]))
        if not 0 <= index <= 100:
            raise ValueError(f"{index} is no index from 0 to 100")
        return index, measured_at


def _whole(value: object) -> int:
    """A whole number, which the API writes as text. True is none, and 30.9 is not 30."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not WHOLE.fullmatch(str(value)):
        raise ValueError(f"{value!r:.40} is no whole number")
    return int(value)


def _judge(index: int, measured_at: datetime, now: datetime) -> SentimentReading:
    if not -CLOCK_TOLERANCE <= now - measured_at <= TRUSTED_FOR:
        return SentimentReading(
            None, measured_at, f"the index was measured at {measured_at:%Y-%m-%d %H:%M}, too far from now"
        )
    return SentimentReading(index, measured_at, f"index {index}, measured {measured_at:%Y-%m-%d %H:%M}")
