"""The Fear & Greed index of alternative.me, fetched at most once an hour and not used when it is old."""

import logging
import re
from datetime import datetime, timedelta
from http.client import HTTPException
from urllib.request import Request

from botctl.adapters.kraken.failures import describe_failure
from botctl.domain.candles import from_unix
from botctl.domain.freshness import is_fresh
from botctl.domain.sentiment import MAX_READING_AGE
from botctl.domain.serialization import parse_json
from botctl.http_answers import opener
from botctl.ports import Clock, SentimentReading
from botctl.store import key_value
from botctl.timeouts import time_limit

log = logging.getLogger(__name__)

MAX_CACHE_AGE = timedelta(hours=1)
CLOCK_TOLERANCE = timedelta(hours=1)
"""How far in the future a time stamp may be: clocks differ a little, not by a day."""
TIMEOUT_SECONDS = 10
"""For the whole request, however slowly the answer arrives."""
MAX_BYTES = 100_000
CACHE_KEY = "sentiment"
INTEGER = re.compile(r"-?[0-9]{1,12}")
READ_ERRORS = (
    OSError,
    HTTPException,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""The errors of an unreachable server, of one that does not speak HTTP, and of JSON of another shape."""


class FearAndGreed:
    """Reads the index from its JSON API, whose answer has `data: [{value, timestamp, ...}]`, all values as text."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self._reading: SentimentReading | None = None

    def read(self) -> SentimentReading:
        """The index now; None with the reason where it can't be read or its own time stamp is too old."""
        self._reading = self._reading or self._read()  # one attempt per run, however many symbols ask
        return self._reading

    def _read(self) -> SentimentReading:
        now = self.clock.now()
        try:
            index, measured_at = self._load_cached(now) or self._fetch(now)
        except READ_ERRORS as error:
            log.info("the Fear & Greed index can't be read: %s", error)
            return SentimentReading(None, None, f"the index can't be read: {describe_failure(error)}")
        shown = f"{measured_at:%Y-%m-%d %H:%M}"
        if not is_fresh(measured_at, now, MAX_READING_AGE, tolerance=CLOCK_TOLERANCE):
            return SentimentReading(None, measured_at, f"the index was measured at {shown}, too far from now")
        return SentimentReading(index, measured_at, f"index {index}, measured {shown}")

    def _load_cached(self, now: datetime) -> tuple[int, datetime] | None:
        cached = key_value.load_parsed(CACHE_KEY, _parse_cached)
        return cached[0] if cached is not None and is_fresh(cached[1], now, MAX_CACHE_AGE) else None

    def _fetch(self, now: datetime) -> tuple[int, datetime]:
        request = Request(self.url, headers={"User-Agent": "botctl", "Accept": "application/json"})
        with time_limit(TIMEOUT_SECONDS), opener().open(request, timeout=TIMEOUT_SECONDS) as answer:
            body = parse_json(answer.read(MAX_BYTES))
        newest = body["data"][0]
        index, measured_at = _parse_integer(newest["value"]), from_unix(_parse_integer(newest["timestamp"]))
        _check_index(index)
        key_value.save_cached(CACHE_KEY, f"{index} {measured_at.isoformat()}", now)
        return index, measured_at


def _parse_integer(value: object) -> int:
    """A whole number, which the API writes as text. Raises ValueError, also for True and 30.9."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not INTEGER.fullmatch(str(value)):
        raise ValueError(f"{value!r:.40} is not a whole number")
    return int(value)


def _parse_cached(text: str) -> tuple[int, datetime]:
    index, measured_at = text.split()
    moment = datetime.fromisoformat(measured_at)
    if moment.tzinfo is None:
        raise ValueError(f"{measured_at} has no time zone")
    return _check_index(int(index)), moment


def _check_index(index: int) -> int:
    if not 0 <= index <= 100:
        raise ValueError(f"{index} is not an index from 0 to 100")
    return index
