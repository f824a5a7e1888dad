"""The state of the connection to Kraken that outlives a run: nonce, rate counter, lockout and clock skew."""

import json
import logging
import math
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from botctl.adapters.kraken.errors import LOCKOUT, NONCE, KrakenApiError
from botctl.adapters.kraken.transport import CALL_SECONDS, KrakenTransport, PendingCall, Reply
from botctl.domain.candles import from_unix
from botctl.domain.configuration.addresses import ProxyUrl
from botctl.domain.configuration.settings import Secret
from botctl.domain.errors import ExchangeUnreachable, LockedOut
from botctl.domain.freshness import is_fresh, is_in_force
from botctl.store import key_value

log = logging.getLogger(__name__)

COUNTER_MAX, COUNTER_DECAY = 15.0, 0.33
"""Kraken's REST rate counter at its lowest tier: the limit, and how much it falls in a second."""
RESERVED_FOR_EXITS = 4.0
"""Points that only calls for an exit may use: its balances, and the look-ups of its order and fills."""
HASTY_SECONDS = 4.0
"""How long a call may take that other sells wait for."""
LOCKOUT_TIME = timedelta(minutes=15)
FAR_AHEAD = 4e9
"""A moment in the year 2096: what is beyond it may be in no calendar."""
MAX_SKEW_AGE = timedelta(days=1)
MAX_CLOCK_DIFFERENCE = timedelta(seconds=60)
"""Between Kraken's Time and the Date header of the same answer. Orders are declared absent by this clock."""
NONCE_STEP_MS = 5_000
"""How far the nonce jumps after a refusal: past a clock that was set back, or another client's last call. Ten times as
far at each further refusal in a row, so that a clock that was a year ahead costs a few calls and not a year."""
MAX_NONCE_STEP_MS = 366 * 86_400_000

SESSION_KEY, CLOCK_KEY = "kraken.session", "kraken.clock"


@dataclass
class SessionState:
    nonce: int = 0
    counter: float = 0.0
    counter_at: float = 0.0
    locked_until: float = 0.0
    nonce_refusals: int = 0
    """How many calls in a row were refused because of their nonce."""


def load_last_nonce() -> int:
    """The nonce of the last private call of the open database. It never falls."""
    return _load_state().nonce


def _load_state() -> SessionState:
    """The saved state. What can't be read, or is no number that it can be, is as if it had not been saved."""
    saved = key_value.load_json(SESSION_KEY, dict)
    known = SessionState()
    if saved is not None:
        for each in fields(SessionState):
            value, default = saved.get(each.name), getattr(known, each.name)
            usable = isinstance(value, int | float) and math.isfinite(value) and value >= 0
            setattr(known, each.name, type(default)(value) if usable else default)
    known.counter = min(known.counter, COUNTER_MAX)
    return known


class KrakenSession:
    """Calls to Kraken. Private calls must be made under the process lock, which keeps the nonce rising."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: Secret | None,
        private_key: Secret | None,
        proxy: ProxyUrl | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`call_seconds` limits each call as a whole."""
        self._state = _load_state()
        self._transport = KrakenTransport(
            base_url, api_key, private_key, proxy=proxy, last_nonce=self._state.nonce, call_seconds=call_seconds
        )
        self._transports = [self._transport]
        self._pending: PendingCall | None = None
        self._known_time: tuple[datetime, float] | None = None
        """The date of Kraken's last private or Time answer, and when that came, by time.monotonic()."""
        self._limit = COUNTER_MAX - RESERVED_FOR_EXITS
        self.hasty = False

    @property
    def requests(self) -> int:
        """How many were sent in this run, answered or not."""
        return sum(transport.requests for transport in self._transports)

    def start_call(self, name: str, params: Mapping[str, str]) -> PendingCall:
        """Send a public call now and fetch its answer later, so that other calls can be made meanwhile."""
        if self._pending is None or not self._pending.ended:  # no two threads share a connection
            self._transports.append(self._transport.open_public())
        self._pending = PendingCall(self._transports[-1], name, params)
        return self._pending

    def get(self, name: str, params: Mapping[str, str] | None = None) -> Any:
        """The result of a public call. Raises KrakenApiError, or ExchangeUnreachable for an unusable answer."""
        return self._transport.call("publicGet", name, params or {})

    def get_with_reply(self, name: str, params: Mapping[str, str]) -> tuple[Any, Reply]:
        """As `get`, with the answer as it came."""
        reply = self._transport.send("publicGet", name, params)
        return self._transport.parse(name, reply), reply

    def date_gap(self, reply: Reply) -> timedelta:
        """How far the date of a public answer is from Kraken's time, negative in the past; zero within a minute.

        A public answer may come from a cache, a private one can't. Where its date is not that of the last private
        answer (without one: this machine's), Kraken is asked for its time.
        """
        if reply.date is None:
            return timedelta(0)
        date = reply.date + (datetime.now(UTC) - reply.arrived_at)
        gap = date - (self._time_by_private_answers() or datetime.now(UTC))
        if abs(gap) > MAX_CLOCK_DIFFERENCE:
            with suppress(KrakenApiError, ExchangeUnreachable):
                asked = time.monotonic()
                gap = date + timedelta(seconds=time.monotonic() - asked) - self._fetch_time()
        return timedelta(seconds=round(gap.total_seconds())) if abs(gap) > MAX_CLOCK_DIFFERENCE else timedelta(0)

    def _time_by_private_answers(self) -> datetime | None:
        if self._known_time is None:
            return None
        at, seen = self._known_time
        return at + timedelta(seconds=time.monotonic() - seen)

    def post(self, name: str, params: Mapping[str, Any] | None = None, *, cost: float = 1) -> Any:
        """The result of a private call that adds `cost` to Kraken's rate counter. Raises LockedOut as well."""
        self._check_lockout()
        self._wait_for_counter(cost)
        seen = self._transport.date_seen
        try:
            result = self._transport.call("privatePost", name, params or {})
            self._state.nonce_refusals = 0
            return result
        except KrakenApiError as api_error:
            self._update_state(api_error)
            raise
        finally:
            if self._transport.date is not None and self._transport.date_seen != seen:
                self._known_time = self._transport.date, self._transport.date_seen
            self._state.nonce = max(self._state.nonce, self._transport.last_nonce)
            key_value.save_cached(SESSION_KEY, json.dumps(asdict(self._state)))

    @contextmanager
    def using_reserve(self, urgent: bool = True) -> Iterator[None]:
        """Let calls in the block use the points that are reserved for exits, if they are `urgent`."""
        self._limit = COUNTER_MAX if urgent else COUNTER_MAX - RESERVED_FOR_EXITS
        try:
            yield
        finally:
            self._limit = COUNTER_MAX - RESERVED_FOR_EXITS

    @contextmanager
    def in_haste(self) -> Iterator[None]:
        """Have private calls in the block end within seconds. Who repeats calls looks whether it is `hasty`."""
        patience = self._transport.call_seconds
        self.hasty, self._transport.call_seconds = True, min(patience, HASTY_SECONDS)
        try:
            yield
        finally:
            self.hasty, self._transport.call_seconds = False, patience

    def now(self, *, fresh: bool = False) -> datetime:
        """Kraken's time, by an answer's Date header and its skew from it; with `fresh` from a Time call made now."""
        # The skew is measured once a day: no order waits for a Time call, and this machine's clock does not matter.
        stored = key_value.load_parsed(CLOCK_KEY, _parse_skew)
        source, skew = stored[0] if stored else ("", timedelta(0))
        same_source = source == self._source()
        if stored and same_source and not fresh and is_fresh(stored[1], datetime.now(UTC), MAX_SKEW_AGE):
            return self._reference() + skew
        try:
            return self._fetch_time()
        except (KrakenApiError, ExchangeUnreachable):
            if fresh or self._newest().date is None:
                raise
            # A wrong deadline is refused at worst; without any a stop could not be sent at all.
            log.warning("Kraken's time is unavailable; using the date of its last answer")
            return self._reference() + (skew if same_source else timedelta(0))

    def forget_time(self) -> None:
        """Measure the skew again before the next use."""
        if stored := key_value.load_cached(CLOCK_KEY):
            key_value.save_cached(CLOCK_KEY, stored[0], from_unix(0))

    def _fetch_time(self) -> datetime:
        result = self.get("Time")
        try:
            at = from_unix(int(result["unixtime"]))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise ExchangeUnreachable("Kraken's answer to Time has no time") from error
        newest = self._newest()
        self._known_time = None if newest.date is None else (newest.date, newest.date_seen)
        skew = at - self._reference()
        if newest.date is not None and abs(skew) > MAX_CLOCK_DIFFERENCE:
            self._known_time = None
            raise ExchangeUnreachable(f"Kraken's Time ({at}) and the date of its answer ({newest.date}) disagree")
        key_value.save_cached(CLOCK_KEY, f"{self._source()} {skew.total_seconds()}")
        return at

    def _source(self) -> str:
        """The clock that the skew refers to. A skew of a machine's clock is used on that machine only."""
        return "date" if self._newest().date is not None else f"local@{socket.gethostname()}"

    def _newest(self) -> KrakenTransport:
        """The connection of the last answer."""
        return max(self._transports, key=lambda transport: transport.date_seen)

    def _reference(self) -> datetime:
        """The last answer's date plus the time since, or this machine's time before the first answer.

        Dates of public answers count only before the first private one: they may come from a cache.
        """
        if (known := self._time_by_private_answers()) is not None:
            return known
        newest = self._newest()
        if newest.date is None:
            return datetime.now(UTC)
        return newest.date + timedelta(seconds=time.monotonic() - newest.date_seen)

    def _check_lockout(self) -> None:
        if self._state.locked_until <= 0:
            return
        until = from_unix(min(self._state.locked_until, FAR_AHEAD))
        if is_in_force(until, datetime.now(UTC), LOCKOUT_TIME):
            raise LockedOut(f"Kraken locked this key out until {until:%H:%M:%S} UTC", hint="wait until then")

    def _update_state(self, api_error: KrakenApiError) -> None:
        if api_error.mentions(LOCKOUT):
            self._state.locked_until = time.time() + LOCKOUT_TIME.total_seconds()
        if api_error.mentions(NONCE):
            last = max(self._transport.last_nonce, int(time.time() * 1000))
            self._transport.last_nonce = last + min(MAX_NONCE_STEP_MS, NONCE_STEP_MS * 10**self._state.nonce_refusals)
            self._state.nonce_refusals = min(self._state.nonce_refusals + 1, 9)
        elif not api_error.mentions(LOCKOUT):
            self._state.nonce_refusals = 0
        if api_error.mentions("EAPI:Rate limit exceeded"):
            self._state.counter = COUNTER_MAX  # Kraken has counted more than we have

    def _wait_for_counter(self, cost: float) -> None:
        """Sleep until Kraken's rate counter allows `cost` more, then count it."""
        now = time.time()
        passed = max(0.0, now - self._state.counter_at)  # a moment in the future lets nothing pass, once
        counter = max(0.0, self._state.counter - passed * COUNTER_DECAY)
        if cost and (excess := counter + cost - self._limit) > 0:
            pause = math.ceil(10 * excess / COUNTER_DECAY) / 10
            log.info("waiting %.1f s for Kraken's rate counter", pause)
            time.sleep(pause)
            counter -= pause * COUNTER_DECAY
        self._state.counter, self._state.counter_at = counter + cost, time.time()


def _parse_skew(text: str) -> tuple[str, timedelta]:
    source, skew = text.split()
    return source, timedelta(seconds=float(skew))
