"""Pings for healthchecks.io and similar services: start, success and failure of each tick."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from botctl.background import start_thread
from botctl.domain.configuration.settings import Secret
from botctl.domain.errors import BotError, Busy
from botctl.timeouts import time_limit

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
"""For each ping, and for each network operation of it."""
MAX_BODY_BYTES = 10_000


def problem_with_url(url: Secret) -> str | None:
    """Why an address can't be pinged, if anything."""
    try:
        parts = urlsplit(url.reveal())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    return None if valid else "HEALTHCHECK_URL is not an http or https address"


def ping_url(url: str, suffix: str) -> str:
    """The address with `suffix` at the end of its path; the query is kept."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{suffix}" if suffix else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Heartbeat:
    """Pings one address; without one it does nothing. Never raises, and never waits longer than PING_SECONDS."""

    def __init__(self, url: Secret | None) -> None:
        self._url = url
        self._start_ping: threading.Thread | None = None
        self._started_at = 0.0
        self._ended = False
        if url is not None and (problem := problem_with_url(url)):
            log.warning("%s: no pings are sent", problem)
            self._url = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Report an error in this block as a failed run, unless another run holds the lock."""
        try:
            yield
        except Busy:
            raise
        except Exception as error:
            self.end(ok=False, detail=str(error) if isinstance(error, BotError) else type(error).__name__)
            raise

    def start(self) -> None:
        """Ping the start of the tick in the background."""
        if self._url is not None:
            self._started_at = time.monotonic()
            self._start_ping = _ping(self._url, "start", b"")

    def fail_now(self, detail: str) -> None:
        """Ping a failure while the tick goes on. Waits for PING_SECONDS at most, in the background of its caller."""
        if self._url is not None:
            _ping_and_wait(self._url, "fail", detail)

    def end(self, *, ok: bool, detail: str = "") -> None:
        """Ping the end of the tick. Waits for both pings, each for PING_SECONDS at most."""
        if self._url is None or self._ended:
            return
        self._ended = True
        if self._start_ping is not None:  # the service measures the duration from the order of the two
            self._start_ping.join(max(0.0, self._started_at + PING_SECONDS - time.monotonic()))
        _ping_and_wait(self._url, "" if ok else "fail", detail)


def _ping_and_wait(url: Secret, suffix: str, detail: str) -> None:
    """Wait for PING_SECONDS at most, also where no thread can be started."""
    body = detail.encode("utf-8", "replace")[:MAX_BODY_BYTES]
    if (ping := _ping(url, suffix, body)) is not None:
        ping.join(PING_SECONDS)
        return
    with suppress(TimeoutError), time_limit(PING_SECONDS):
        _post(ping_url(url.reveal(), suffix), body)


def _ping(url: Secret, suffix: str, body: bytes) -> threading.Thread | None:
    """A ping in the background; None where the machine starts no new thread."""
    try:
        return start_thread(lambda: _post(ping_url(url.reveal(), suffix), body))
    except RuntimeError:
        return None


def _post(address: str, body: bytes) -> None:
    from urllib.request import Request

    from botctl.http_answers import opener

    try:
        request = Request(address, data=body, headers={"User-Agent": "botctl"})
        with opener().open(request, timeout=PING_SECONDS) as response:
            response.read(100)
    except Exception as error:  # noqa: BLE001 - the message of any error may contain the address
        log.warning("HEALTHCHECK_URL can't be reached (%s)", getattr(error, "code", type(error).__name__))
