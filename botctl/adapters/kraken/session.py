"""Kraken's rules for who calls: the nonce rises, the rate counter is kept to, a lock-out is waited for, and time is
Kraken's own. All of it outlives the run."""

import json
import logging
import math
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botctl.adapters.kraken.errors import LOCKOUT, NONCE, KrakenApiError
from botctl.adapters.kraken.transport import CALL_SECONDS, KrakenTransport, PendingCall
from botctl.domain.candles import from_unix
from botctl.domain.errors import ExchangeUnreachable, LockedOut
from botctl.domain.settings import Secret
from botctl.store import key_value

log = logging.getLogger(__name__)

COUNTER_MAX, COUNTER_DECAY = 15.0, 0.33
"""Kraken's REST counter at its lowest tier: calls add up to so much, and so much is forgiven a second."""
LOCKOUT_TIME = timedelta(minutes=15)
CLOCK_TRUSTED = timedelta(days=1)
CLOCKS_AGREE = timedelta(seconds=60)
"""How far Kraken's Time may be from the date of the very answer that brings it. Orders are given up by it."""
NONCE_STEP_MS = 5_000
"""How far the nonce jumps after a refusal: past a clock that stepped back, or another client's last call."""

SESSION, CLOCK = "kraken.session", "kraken.clock"


@dataclass
class SessionState:
    """What the next run must know of this one."""

    nonce: int = 0
    counter: float = 0.0
    counter_at: float = 0.0
    locked_until: float = 0.0


class KrakenSession:
    """The line to Kraken. Private calls must be made under the process lock, which keeps the nonce rising.

    A public call can be made beside a private one, on a line of its own: no two threads share a connection.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: Secret | None,
        private_key: Secret | None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`call_seconds` limits each call as a whole."""
        kept = key_value.load_cached(SESSION)
        self._session = SessionState(**json.loads(kept[0])) if kept else SessionState()
        self._line = KrakenTransport(
            base_url, api_key, private_key, last_nonce=self._session.nonce, call_seconds=call_seconds
        )
        self._transports = [self._line]
        self._begun: PendingCall | None = None

    @property
    def requests(self) -> int:
        """Sent in this run, answered or not."""
        return sum(transport.requests for transport in self._transports)

    def begin(self, name: str, params: Mapping[str, str]) -> PendingCall:
        """Send a public call now, to be asked for its answer later; what is called meanwhile goes out beside it."""
        if self._begun is None or not self._begun.ended:
            self._transports.append(self._line.another())
        self._begun = PendingCall(self._transports[-1], name, params)
        return self._begun

    def get(self, name: str, params: Mapping[str, str] | None = None) -> Any:
        """The result of a public call. Raises KrakenApiError, or ExchangeUnreachable for an unusable answer."""
        return self._line.call("publicGet", name, params or {})

    def post(self, name: str, params: Mapping[str, str] | None = None, *, cost: float = 1) -> Any:
        """The result of a private call that adds `cost` to Kraken's counter. Raises LockedOut as well."""
        self._refuse_while_locked_out()
        self._wait_for_counter(cost)
        try:
            return self._line.call("privatePost", name, params or {})
        except KrakenApiError as api_error:
            self._learn_from(api_error)
            raise
        finally:
            self._session.nonce = max(self._session.nonce, self._line.last_nonce)
            key_value.save_cached(SESSION, json.dumps(asdict(self._session)))

    def now(self, *, fresh: bool = False) -> datetime:
        """The time at Kraken; with `fresh` as Kraken itself says right now.

        Every answer carries a Date header; how far that is from Kraken's own Time is asked once a day. So no order
        waits for a Time call, and this machine's clock plays no part.
        """
        kept = key_value.load_cached(CLOCK)
        source, skew = kept[0].split() if kept else ("", "0")
        same_source = source == self._source()
        if kept and same_source and not fresh and datetime.now(UTC) - kept[1] < CLOCK_TRUSTED:
            return self._reference() + timedelta(seconds=float(skew))
        try:
            return self._ask_time()
        except (KrakenApiError, ExchangeUnreachable):
            if fresh or self._newest().date is None:
                raise
            # A deadline by an estimate is refused at worst; a stop that waits for Time would not be sent at all.
            log.warning("Kraken's time can't be had: the date of its last answer serves")
            return self._reference() + timedelta(seconds=float(skew) if same_source else 0)

    def forget_time(self) -> None:
        """Kraken disagreed about the time: ask it again before the next use."""
        if kept := key_value.load_cached(CLOCK):
            key_value.save_cached(CLOCK, kept[0], from_unix(0))

    def _ask_time(self) -> datetime:
        result = self.get("Time")
        try:
            at = from_unix(int(result["unixtime"]))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise ExchangeUnreachable("Kraken's Time answer has no time in it") from error
        newest = self._newest()
        if newest.date is not None and abs(at - self._reference()) > CLOCKS_AGREE:
            raise ExchangeUnreachable(f"Kraken's Time ({at}) and the date of its answer ({newest.date}) disagree")
        skew = (at - self._reference()).total_seconds()
        key_value.save_cached(CLOCK, f"{self._source()} {skew}")
        return at

    def _source(self) -> str:
        """Whose clock the skew is measured from: that of a machine counts on that machine alone."""
        return "date" if self._newest().date is not None else f"local@{socket.gethostname()}"

    def _newest(self) -> KrakenTransport:
        """The line that the last answer came over."""
        return max(self._transports, key=lambda transport: transport.date_seen)

    def _reference(self) -> datetime:
        newest = self._newest()
        if newest.date is None:
            return datetime.now(UTC)
        return newest.date + timedelta(seconds=time.monotonic() - newest.date_seen)

    def _refuse_while_locked_out(self) -> None:
        if self._session.locked_until > time.time():
            until = from_unix(self._session.locked_until)
            raise LockedOut(f"Kraken locked this key out until {until:%H:%M:%S} UTC", hint="wait until then")

    def _learn_from(self, api_error: KrakenApiError) -> None:
        if api_error.mentions(LOCKOUT):
            self._session.locked_until = time.time() + LOCKOUT_TIME.total_seconds()
        if api_error.mentions(NONCE):
            last = max(self._line.last_nonce, int(time.time() * 1000))
            self._line.last_nonce = last + NONCE_STEP_MS
        if api_error.mentions("EAPI:Rate limit exceeded"):
            self._session.counter = COUNTER_MAX  # Kraken counts more than we knew of

    def _wait_for_counter(self, cost: float) -> None:
        """Sleep until `cost` more fits under Kraken's counter, then count it."""
        now = time.time()
        passed = max(0.0, now - self._session.counter_at)
        counter = max(0.0, self._session.counter - passed * COUNTER_DECAY)
        if cost and (excess := counter + cost - COUNTER_MAX) > 0:
            pause = math.ceil(10 * excess / COUNTER_DECAY) / 10
            log.info("waiting %.1f s for Kraken's rate counter", pause)
            time.sleep(pause)
            counter -= pause * COUNTER_DECAY
        self._session.counter, self._session.counter_at = counter + cost, time.time()
