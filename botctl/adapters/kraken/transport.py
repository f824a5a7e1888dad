"""One call to Kraken at a time, through ccxt: sent, limited in time, its answer's shape checked before anybody believes
it.

ccxt raises nothing for an HTTP 200 with an empty, cut or HTML body, so the answer's own text is read here.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from botctl._fast_imports import import_kraken_alone
from botctl.adapters.kraken.errors import KrakenApiError
from botctl.domain.errors import ExchangeUnreachable
from botctl.domain.settings import SHORTEST_SECRET, Secret
from botctl.domain.text import sanitize
from botctl.timeouts import time_limit

log = logging.getLogger(__name__)

TIMEOUT_MS = 10_000
"""For connecting and for each read of the socket."""
CALL_SECONDS = 30.0
"""For a call as a whole, however slowly its answer drips in: the lock is held meanwhile, and stops wait."""


@dataclass(frozen=True)
class Reply:
    """What came of a call, not yet judged."""

    status: int | None
    text: str | None
    failure: str
    seconds: float


class KrakenTransport:
    """One connection, for one thread at a time."""

    def __init__(
        self,
        base_url: str | None,
        api_key: Secret | None,
        private_key: Secret | None,
        *,
        last_nonce: int = 0,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        config: dict[str, Any] = {
            "enableRateLimit": False,  # its throttle sleeps three seconds a private call; ours paces in kraken_wire
            "timeout": TIMEOUT_MS,
            "number": str,
            "options": {"lastNonce": last_nonce},
        }
        if base_url:
            config["urls"] = {"api": {"public": base_url, "private": base_url}}
        if api_key and private_key:
            config |= {"apiKey": api_key.reveal(), "secret": private_key.reveal()}
        self._base_url = base_url
        self.call_seconds = call_seconds
        self._ccxt = import_kraken_alone()(config)
        self._ccxt.session.hooks["response"].append(self._note_reply)
        self._ccxt.session.max_redirects = 0  # a signed request goes to the host it was signed for, or nowhere
        self._secrets = {"key": api_key or Secret(""), "private key": private_key or Secret("")}
        """What no answer may repeat, the last signature too."""
        self._status: int | None = None
        self.requests = 0
        """Sent so far, answered or not."""
        self.date: datetime | None = None
        """What the last answer's Date header said, and when by this machine's own seconds it came."""
        self.date_seen = 0.0

    def another(self) -> "KrakenTransport":
        """A line for public calls beside this one. It knows no key, and lets none through that this one knows."""
        line = KrakenTransport(self._base_url, None, None, call_seconds=self.call_seconds)
        line._secrets = self._secrets
        return line

    @property
    def last_nonce(self) -> int:
        """The highest that was used."""
        return int(self._ccxt.options.get("lastNonce") or 0)

    @last_nonce.setter
    def last_nonce(self, nonce: int) -> None:
        self._ccxt.options["lastNonce"] = nonce

    def call(self, kind: str, name: str, params: Mapping[str, str]) -> Any:
        """The result of one call. Raises KrakenApiError, or ExchangeUnreachable for an unusable answer."""
        return self.judge(name, self.send(kind, name, params))

    def send(self, kind: str, name: str, params: Mapping[str, str]) -> Reply:
        """One request, and whatever came back. Raises nothing, and says nothing: it may run beside the main thread."""
        self._status = None
        self._ccxt.last_http_response = None
        failure = ""
        self.requests += 1
        started = time.monotonic()
        try:
            with time_limit(self.call_seconds):
                getattr(self._ccxt, f"{kind}{name}")(dict(params))
        except Exception as error:  # noqa: BLE001 - a strange answer can make ccxt raise anything; its text is judged below
            failure = type(error).__name__
        return Reply(self._status, self._ccxt.last_http_response, failure, time.monotonic() - started)

    def judge(self, name: str, reply: Reply) -> Any:
        """The `result` of an answer that has the shape of one."""
        log.debug("%s answered %s in %.0f ms", name, reply.status, 1000 * reply.seconds)
        if reply.status is None or reply.text is None:
            raise ExchangeUnreachable(f"no answer from Kraken to {name} ({reply.failure or 'connection lost'})")
        try:
            body = json.loads(self._without_secrets(reply.text), parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            body = None
        errors = body.get("error") if isinstance(body, dict) else None
        if not isinstance(errors, list) or reply.status not in (200, 429):
            raise ExchangeUnreachable(f"Kraken's answer to {name} is unusable (HTTP {reply.status})")
        if errors:
            texts = tuple(sanitize(str(error)) for error in errors)
            if not (body.get("result") and all(text.startswith("W") for text in texts) and name != "AddOrder"):
                raise KrakenApiError(texts, beside_result=bool(body.get("result")))
            log.warning("Kraken warns: %s", ", ".join(texts))
        if not isinstance(body.get("result"), dict):
            raise ExchangeUnreachable(f"Kraken's answer to {name} has no result")
        return body["result"]

    def _note_reply(self, response: Any, *_: Any, **__: Any) -> None:
        self._status = response.status_code
        if signature := response.request.headers.get("API-Sign"):
            self._secrets["signature"] = Secret(signature.decode() if isinstance(signature, bytes) else signature)
        self.date_seen = time.monotonic()
        try:
            self.date = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.date = None

    def _without_secrets(self, text: str) -> str:
        """An answer may echo what was sent, and its words go into messages, the log and the database."""
        for secret in self._secrets.values():
            word = secret.reveal()
            if len(word) >= SHORTEST_SECRET:
                for form in (word, word.replace("/", "\\/"), quote(word, safe="")):
                    text = text.replace(form, "***")
        return text


class PendingCall:
    """A public call under way in a thread of its own."""

    def __init__(self, line: KrakenTransport, name: str, params: Mapping[str, str]) -> None:
        self._line, self._name = line, name
        self._reply: Reply | None = None
        self._came_at: datetime | None = None
        # A daemon: a run that is told to end does not wait for an answer.
        self._thread = threading.Thread(target=self._send, args=(dict(params),), name=f"Kraken {name}", daemon=True)
        self._started = time.monotonic()
        self._thread.start()

    def _send(self, params: Mapping[str, str]) -> None:
        reply = self._line.send("publicGet", self._name, params)
        self._came_at = datetime.now(UTC)
        self._reply = reply

    @property
    def ended(self) -> bool:
        """Whether its line is free again."""
        return not self._thread.is_alive()

    def result(self) -> tuple[Any, datetime]:
        """The result, and when it came. Waits for it. Raises what `KrakenLine.call` raises."""
        limit = self._line.call_seconds
        self._thread.join(max(0.0, limit - (time.monotonic() - self._started)))
        if self._reply is None or self._came_at is None:
            raise ExchangeUnreachable(f"no answer from Kraken to {self._name} within {limit:g} seconds")
        return self._line.judge(self._name, self._reply), self._came_at
