"""One call to Kraken at a time, through ccxt: signed, paced, its answer's shape checked before anybody believes it.

ccxt raises nothing for an HTTP 200 with an empty, cut or HTML body, so the answer's own text is read here.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from botctl.domain.errors import ExchangeUnreachable, LockedOut
from botctl.domain.settings import SHORTEST_SECRET, Secret
from botctl.domain.words import printable
from botctl.exchange.kraken_errors import LOCKOUT, NONCE, KrakenSays
from botctl.limits import time_limit
from botctl.store import memory

log = logging.getLogger(__name__)

TIMEOUT_MS = 10_000
"""For connecting and for each read of the socket."""
CALL_SECONDS = 30.0
"""For a call as a whole, however slowly its answer drips in: the lock is held meanwhile, and stops wait."""
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
class Session:
    """What the next run must know of this one."""

    nonce: int = 0
    counter: float = 0.0
    counter_at: float = 0.0
    locked_until: float = 0.0


class KrakenWire:
    """The line to Kraken. Private calls must be made under the process lock, which keeps the nonce rising."""

    def __init__(self, *, base_url: str | None, api_key: Secret | None, private_key: Secret | None) -> None:
        import ccxt

        kept = memory.recall(SESSION)
        self._session = Session(**json.loads(kept[0])) if kept else Session()
        config: dict[str, Any] = {
            "enableRateLimit": False,  # its throttle sleeps three seconds a private call; the counter below paces
            "timeout": TIMEOUT_MS,
            "number": str,
            "options": {"lastNonce": self._session.nonce},
        }
        if base_url:
            config["urls"] = {"api": {"public": base_url, "private": base_url}}
        if api_key and private_key:
            config |= {"apiKey": api_key.reveal(), "secret": private_key.reveal()}
        self._ccxt = ccxt.kraken(config)
        self._ccxt.session.hooks["response"].append(self._note_reply)
        self._ccxt.session.max_redirects = 0  # a signed request goes to the host it was signed for, or nowhere
        self.requests = 0
        """Sent in this run, answered or not."""
        self._status: int | None = None
        self._date: datetime | None = None
        self._date_seen = 0.0
        self._keys = tuple(secret for secret in (api_key, private_key) if secret)
        self._signature = Secret("")

    def get(self, name: str, params: Mapping[str, str] | None = None) -> Any:
        """The result of a public call. Raises KrakenSays, or ExchangeUnreachable for an unusable answer."""
        return self._call(f"publicGet{name}", params or {})

    def post(self, name: str, params: Mapping[str, str] | None = None, *, cost: float = 1) -> Any:
        """The result of a private call that adds `cost` to Kraken's counter. Raises LockedOut as well."""
        self._refuse_while_locked_out()
        self._wait_for_counter(cost)
        try:
            return self._call(f"privatePost{name}", params or {})
        except KrakenSays as said:
            self._learn_from(said)
            raise
        finally:
            self._session.nonce = max(self._session.nonce, int(self._ccxt.options.get("lastNonce") or 0))
            memory.remember(SESSION, json.dumps(asdict(self._session)))

    def now(self, *, fresh: bool = False) -> datetime:
        """The time at Kraken; with `fresh` as Kraken itself says right now.

        Every answer carries a Date header; how far that is from Kraken's own Time is asked once a day. So no order
        waits for a Time call, and this machine's clock plays no part.
        """
        kept = memory.recall(CLOCK)
        source, skew = kept[0].split() if kept else ("", "0")
        same_source = (source == "date") == (self._date is not None)
        if kept and same_source and not fresh and datetime.now(UTC) - kept[1] < CLOCK_TRUSTED:
            return self._reference() + timedelta(seconds=float(skew))
        try:
            return self._ask_time()
        except (KrakenSays, ExchangeUnreachable):
            if fresh or self._date is None:
                raise
            # A deadline by an estimate is refused at worst; a stop that waits for Time would not be sent at all.
            log.warning("Kraken's time can't be had: the date of its last answer serves")
            return self._reference() + timedelta(seconds=float(skew) if same_source else 0)

    def forget_time(self) -> None:
        """Kraken disagreed about the time: ask it again before the next use."""
        if kept := memory.recall(CLOCK):
            memory.remember(CLOCK, kept[0], datetime.fromtimestamp(0, UTC))

    def _ask_time(self) -> datetime:
        result = self.get("Time")
        try:
            at = datetime.fromtimestamp(int(result["unixtime"]), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise ExchangeUnreachable("Kraken's Time answer has no time in it") from error
        if self._date is not None and abs(at - self._reference()) > CLOCKS_AGREE:
            raise ExchangeUnreachable(f"Kraken's Time ({at}) and the date of its answer ({self._date}) disagree")
        skew = (at - self._reference()).total_seconds()
        memory.remember(CLOCK, f"{'local' if self._date is None else 'date'} {skew}")
        return at

    def _reference(self) -> datetime:
        if self._date is None:
            return datetime.now(UTC)
        return self._date + timedelta(seconds=time.monotonic() - self._date_seen)

    def _note_reply(self, response: Any, *_: Any, **__: Any) -> None:
        self._status = response.status_code
        signature = response.request.headers.get("API-Sign", "")
        self._signature = Secret(signature.decode() if isinstance(signature, bytes) else signature)
        try:
            self._date = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
            self._date_seen = time.monotonic()
        except (KeyError, TypeError, ValueError, OverflowError):
            self._date = None

    def _call(self, method: str, params: Mapping[str, str]) -> Any:
        self._status = None
        self._ccxt.last_http_response = None
        failure = ""
        self.requests += 1
        started = time.monotonic()
        try:
            with time_limit(CALL_SECONDS):
                getattr(self._ccxt, method)(dict(params))
        except Exception as error:  # noqa: BLE001 - a strange answer can make ccxt raise anything; its text is judged below
            failure = type(error).__name__
        name = method.removeprefix("publicGet").removeprefix("privatePost")
        log.debug("%s answered %s in %.0f ms", name, self._status, 1000 * (time.monotonic() - started))
        text = self._ccxt.last_http_response
        if self._status is None or text is None:
            raise ExchangeUnreachable(f"no answer from Kraken to {name} ({failure or 'connection lost'})")
        return self._judge(name, text)

    def _judge(self, name: str, text: str) -> Any:
        """The `result` of an answer that has the shape of one."""
        try:
            body = json.loads(self._without_secrets(text), parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            body = None
        errors = body.get("error") if isinstance(body, dict) else None
        if not isinstance(errors, list) or self._status not in (200, 429):
            raise ExchangeUnreachable(f"Kraken's answer to {name} is unusable (HTTP {self._status})")
        if errors:
            texts = tuple(printable(str(error)) for error in errors)
            if not (body.get("result") and all(text.startswith("W") for text in texts) and name != "AddOrder"):
                raise KrakenSays(texts, beside_result=bool(body.get("result")))
            log.warning("Kraken warns: %s", ", ".join(texts))
        if not isinstance(body.get("result"), dict):
            raise ExchangeUnreachable(f"Kraken's answer to {name} has no result")
        return body["result"]

    def _without_secrets(self, text: str) -> str:
        """An answer may echo what was sent, and its words go into messages, the log and the database."""
        for secret in (*self._keys, self._signature):
            word = secret.reveal()
            if len(word) >= SHORTEST_SECRET:
                for form in (word, word.replace("/", "\\/"), quote(word, safe="")):
                    text = text.replace(form, "***")
        return text

    def _refuse_while_locked_out(self) -> None:
        if self._session.locked_until > time.time():
            until = datetime.fromtimestamp(self._session.locked_until, UTC)
            raise LockedOut(f"Kraken locked this key out until {until:%H:%M:%S} UTC", hint="wait until then")

    def _learn_from(self, said: KrakenSays) -> None:
        if said.mentions(LOCKOUT):
            self._session.locked_until = time.time() + LOCKOUT_TIME.total_seconds()
        if said.mentions(NONCE):
            last = max(int(self._ccxt.options.get("lastNonce") or 0), int(time.time() * 1000))
            self._ccxt.options["lastNonce"] = last + NONCE_STEP_MS
        if said.mentions("EAPI:Rate limit exceeded"):
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
