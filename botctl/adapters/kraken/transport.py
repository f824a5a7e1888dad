"""Sends one call at a time to Kraken through ccxt, limits its time and checks the form of the answer.

ccxt raises nothing for an HTTP 200 with an empty, truncated or HTML body, so the body is parsed here.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from botctl._fast_imports import import_kraken_alone
from botctl.adapters.kraken.errors import KrakenApiError
from botctl.adapters.kraken.failures import describe_failure
from botctl.domain.configuration.addresses import ProxyUrl
from botctl.domain.configuration.settings import MIN_SECRET_LENGTH, Secret
from botctl.domain.errors import ExchangeUnreachable, NoAnswer
from botctl.domain.serialization import parse_json
from botctl.domain.text import sanitize
from botctl.http_answers import read_response
from botctl.timeouts import time_limit

log = logging.getLogger(__name__)

TIMEOUT_MS = 10_000
"""For connecting and for each read of the socket."""
DEFAULT_URL = "https://api.kraken.com"
FIRST_SERVER_ERROR = 500
CALL_SECONDS = 30.0
"""For a call as a whole, however slowly its answer arrives: meanwhile the lock is held and stops wait."""


@dataclass(frozen=True)
class Reply:
    """The HTTP status and body of an answer, not yet checked, or why there is none."""

    status: int | None
    text: str | None
    failure: str
    seconds: float
    sent_at: datetime
    """When the request left: its figures may be as old as that, however late the answer is."""
    arrived_at: datetime
    date: datetime | None
    """Its Date header."""


class KrakenTransport:
    """One connection, used by one thread at a time."""

    def __init__(
        self,
        base_url: str | None,
        api_key: Secret | None,
        private_key: Secret | None,
        *,
        proxy: ProxyUrl | None = None,
        last_nonce: int = 0,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        config: dict[str, Any] = {
            "enableRateLimit": False,  # it sleeps three seconds per private call; KrakenSession does this better
            "timeout": TIMEOUT_MS,
            "number": str,
            "options": {"lastNonce": last_nonce},
        }
        if base_url:
            config["urls"] = {"api": {"public": base_url, "private": base_url}}
        if proxy:  # ccxt reads no proxy from the environment
            config["httpsProxy"] = proxy.reveal()
        if api_key and private_key:
            config |= {"apiKey": api_key.reveal(), "secret": private_key.reveal()}
        self._base_url, self._proxy = base_url, proxy
        self.call_seconds = call_seconds
        self._ccxt = import_kraken_alone()(config)
        self._ccxt.session.hooks["response"] += [self._note_reply, read_response]
        self._ccxt.session.max_redirects = 0  # a signed request must only go to the host it was signed for
        self._secrets = {"key": api_key or Secret(""), "private key": private_key or Secret("")}
        """Removed from all answers, the last signature too."""
        self._status: int | None = None
        self._date: datetime | None = None
        self.requests = 0
        """How many were sent, answered or not."""
        self.date: datetime | None = None
        """The Date header of the last answer."""
        self.date_seen = 0.0
        """When the last answer arrived, by time.monotonic()."""

    def open_public(self) -> "KrakenTransport":
        """A second connection for public calls. It has no key, and removes this one's secrets from its answers."""
        transport = KrakenTransport(self._base_url, None, None, proxy=self._proxy, call_seconds=self.call_seconds)
        transport._secrets = self._secrets
        return transport

    @property
    def last_nonce(self) -> int:
        return int(self._ccxt.options.get("lastNonce") or 0)

    @last_nonce.setter
    def last_nonce(self, nonce: int) -> None:
        self._ccxt.options["lastNonce"] = nonce

    def call(self, kind: str, name: str, params: Mapping[str, str]) -> Any:
        """The result of one call. Raises KrakenApiError, or ExchangeUnreachable for an unusable answer."""
        return self.parse(name, self.send(kind, name, params))

    def send(self, kind: str, name: str, params: Mapping[str, str]) -> Reply:
        """Send one request. Raises and logs nothing, because it may run in another thread."""
        self._status = self._date = None
        self._ccxt.last_http_response = None
        failure = ""
        self.requests += 1
        started, sent_at = time.monotonic(), datetime.now(UTC)
        try:
            with time_limit(self.call_seconds):
                getattr(self._ccxt, f"{kind}{name}")(dict(params))
        except Exception as error:  # noqa: BLE001 - ccxt can raise anything for an odd answer; `parse` checks it
            failure = describe_failure(error)
        seconds = time.monotonic() - started
        text, arrived_at = self._ccxt.last_http_response, datetime.now(UTC)
        return Reply(self._status, text, failure, seconds, sent_at, arrived_at, self._date)

    def parse(self, name: str, reply: Reply) -> Any:
        """The `result` of a well-formed answer. Raises KrakenApiError or ExchangeUnreachable."""
        log.debug("%s answered %s in %.0f ms", name, reply.status, 1000 * reply.seconds)
        if reply.status is None or reply.text is None:
            raise self.no_answer(reply.failure or "connection lost")
        if reply.status >= FIRST_SERVER_ERROR:
            raise self.no_answer(f"it answers HTTP {reply.status}")
        try:
            body = parse_json(self._without_secrets(reply.text), parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            body = None
        errors = body.get("error") if isinstance(body, dict) else None
        if not isinstance(errors, list) or reply.status not in (200, 429):
            raise ExchangeUnreachable(f"Kraken's answer to {name} is unusable (HTTP {reply.status})")
        result = body.get("result")
        if errors:
            _check_errors(name, errors, has_result=bool(result))
        if not isinstance(result, dict):
            raise ExchangeUnreachable(f"Kraken's answer to {name} has no result")
        return result

    def no_answer(self, why: str) -> NoAnswer:
        parts = urlsplit(self._base_url or DEFAULT_URL)
        port = f":{parts.port}" if parts.port else ""
        return NoAnswer(why, where=f"Kraken at {parts.hostname}{port}")

    def _note_reply(self, response: Any, *_: Any, **__: Any) -> None:
        self._status = response.status_code
        if signature := response.request.headers.get("API-Sign"):
            self._secrets["signature"] = Secret(signature.decode() if isinstance(signature, bytes) else signature)
        self.date_seen = time.monotonic()
        try:
            self.date = self._date = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.date = None

    def _without_secrets(self, text: str) -> str:
        """An answer may echo the request, and its texts are shown, logged and stored."""
        for secret in self._secrets.values():
            value = secret.reveal()
            if len(value) >= MIN_SECRET_LENGTH:
                for form in (value, value.replace("/", "\\/"), quote(value, safe="")):
                    text = text.replace(form, "***")
        return text


def _check_errors(name: str, errors: list[Any], *, has_result: bool) -> None:
    """Log mere warnings beside a result. Raises KrakenApiError for anything else, and for any in an AddOrder answer."""
    texts = tuple(sanitize(str(error)) for error in errors)
    if not has_result or name == "AddOrder" or not all(text.startswith("W") for text in texts):
        raise KrakenApiError(texts, beside_result=has_result)
    log.warning("warning from Kraken: %s", ", ".join(texts))


class PendingCall:
    """A public call in a thread of its own; where the machine starts none, it is made at once."""

    def __init__(self, transport: KrakenTransport, name: str, params: Mapping[str, str]) -> None:
        self._transport, self._name = transport, name
        self._reply: Reply | None = None
        # A daemon, so that a run that is terminated does not wait for the answer.
        self._thread = threading.Thread(target=self._send, args=(dict(params),), name=f"Kraken {name}", daemon=True)
        self._started = time.monotonic()
        try:
            self._thread.start()
        except RuntimeError as error:
            log.warning("this machine can't start a new thread (%s): prices are asked for before the balances", error)
            self._send(params)

    def _send(self, params: Mapping[str, str]) -> None:
        self._reply = self._transport.send("publicGet", self._name, params)

    @property
    def ended(self) -> bool:
        """Whether its connection is free again."""
        return not self._thread.is_alive()

    def result(self) -> tuple[Any, Reply]:
        """Wait for the answer; return its result and the answer itself. Raises as `KrakenTransport.call`."""
        limit = self._transport.call_seconds
        if self._reply is None:
            self._thread.join(max(0.0, limit - (time.monotonic() - self._started)))
        if self._reply is None:
            raise self._transport.no_answer(f"it timed out after {limit:g} s")
        return self._transport.parse(self._name, self._reply), self._reply
