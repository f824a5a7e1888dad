"""Pings for healthchecks.io and its like: start, success and failure of each tick, so that silence is an alarm.

Each ping runs in a thread of its own that nobody has to wait for: the start's goes out while the tick begins its work.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from botctl.domain.errors import BotError, Busy
from botctl.domain.settings import Secret

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
"""For each ping, and for each part of it."""
MOST_BYTES = 10_000
"""Of what a failure tells."""


def problem_with_url(url: Secret) -> str | None:
    """Why an address can't be pinged; None when nothing is known against it."""
    try:
        parts = urlsplit(url.reveal())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    return None if fits else "HEALTHCHECK_URL is no http or https address"


def ping_url(url: str, suffix: str) -> str:
    """The address with `suffix` at the end of its path: what stands behind a question mark stays there."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{suffix}" if suffix else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Heartbeat:
    """Pings one address, or nothing without one. Never raises, and never takes longer than PING_SECONDS."""

    def __init__(self, url: Secret | None) -> None:
        self._url = url
        self._under_way: threading.Thread | None = None
        self._began = 0.0
        self._ended = False
        if url is not None and (problem := problem_with_url(url)):
            log.warning("%s: nothing is pinged", problem)
            self._url = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """A run that ends with an error in this block failed, unless another run was at work."""
        try:
            yield
        except Busy:
            raise
        except Exception as error:
            words = str(error) if isinstance(error, BotError) else type(error).__name__
            self.end(ok=False, words=words)
            raise

    def start(self) -> None:
        """The tick begins. Returns at once."""
        if self._url is not None:
            self._began = time.monotonic()
            self._under_way = self._ping("start", b"")

    def end(self, *, ok: bool, words: str = "") -> None:
        """The tick has ended, well or not. Waits for the pings, for a bounded time."""
        if self._url is None or self._ended:
            return
        self._ended = True
        if self._under_way is not None:  # the order of the two is what tells how long the tick took
            self._under_way.join(max(0.0, self._began + PING_SECONDS - time.monotonic()))
        body = words.encode("utf-8", "replace")[:MOST_BYTES]
        self._ping("" if ok else "fail", body).join(PING_SECONDS)

    def _ping(self, suffix: str, body: bytes) -> threading.Thread:
        """A thread that is dropped at the end of the process. Signals are for the main one: its alarms interrupt it."""
        thread = threading.Thread(target=self._post, args=(suffix, body), daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return thread

    def _post(self, suffix: str, body: bytes) -> None:
        from urllib.request import Request, urlopen

        if self._url is None:
            return
        try:
            request = Request(ping_url(self._url.reveal(), suffix), data=body, headers={"User-Agent": "botctl"})
            with urlopen(request, timeout=PING_SECONDS) as answer:
                answer.read(100)
        except Exception as error:  # noqa: BLE001 - whatever it is: its own words may hold the address
            log.warning("HEALTHCHECK_URL was not reached (%s)", getattr(error, "code", type(error).__name__))
