"""The fake Kraken's one API key: who knows its secret, which nonces it has used, what it may do and how often."""

import base64
import binascii
import copy
import hashlib
import hmac
from dataclasses import dataclass
from email.message import Message

from tests.fake_kraken.wire import Params, Refusal, Request

TRADING_RIGHTS = {"query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"}
# Any one of the words opens the endpoint. Those that aren't named need no permission.
NEEDED_RIGHTS = {
    "Balance": {"query-funds"},
    "BalanceEx": {"query-funds"},
    "TradeVolume": {"query-funds"},
    "OpenOrders": {"query-open-trades"},
    "ClosedOrders": {"query-closed-trades"},
    "QueryOrders": {"query-open-trades", "query-closed-trades"},
    "TradesHistory": {"query-closed-trades"},
    "QueryTrades": {"query-closed-trades"},
    "AddOrder": {"modify-trades"},
    "CancelOrder": {"modify-trades", "close-trades"},
    "CancelOrderBatch": {"modify-trades", "close-trades"},
    "AmendOrder": {"modify-trades", "close-trades"},
    "OrderAmends": {"query-open-trades", "query-closed-trades"},
}
CALL_COST = {"TradesHistory": 2, "AddOrder": 0, "CancelOrder": 0}  # every other private call counts 1


@dataclass
class CallLimit:
    """Kraken's call counter: calls fill it up to `highest`, time drains it by `decay` a second."""

    highest: float
    decay: float
    count: float = 0.0
    counted_at: float = 0.0
    """When `count` was right, in Kraken's clock."""

    def count_call(self, request: Request) -> None:
        """A refused call counts too."""
        cost = CALL_COST.get(request.endpoint, 1)
        self.count = max(0.0, self.count - self.decay * (request.at - self.counted_at)) + cost
        self.counted_at = request.at
        if self.count > self.highest and cost:
            raise Refusal("EAPI:Rate limit exceeded")


@dataclass(frozen=True)
class KeySnapshot:
    """What `ApiKey.restore` needs to go back to this moment."""

    permissions: frozenset[str]
    valid_until: str
    nonces: frozenset[int]
    call_limit: CallLimit | None


class ApiKey:
    """The key, as Kraken knows it. Tests may change its rights, its last nonce and its call limit at any time."""

    def __init__(self, nonce_window: int) -> None:
        self.public = "fake-kraken-key"
        self.secret = base64.b64encode(hashlib.sha512(b"the secret of the fake Kraken").digest()).decode()
        self.permissions = set(TRADING_RIGHTS)
        self.valid_until = "0"
        self.nonce_window = nonce_window
        self.call_limit: CallLimit | None = None
        self._nonces: set[int] = set()

    @property
    def last_nonce(self) -> int:
        """The highest nonce this key has used; -1 before the first. Tests may set it to poison the key."""
        return max(self._nonces, default=-1)

    @last_nonce.setter
    def last_nonce(self, nonce: int) -> None:
        self._nonces = {nonce}

    def snapshot(self) -> KeySnapshot:
        nonces, limit = frozenset(self._nonces), copy.copy(self.call_limit)
        return KeySnapshot(frozenset(self.permissions), self.valid_until, nonces, limit)

    def restore(self, kept: KeySnapshot) -> None:
        self.permissions, self.valid_until = set(kept.permissions), kept.valid_until
        self._nonces, self.call_limit = set(kept.nonces), copy.copy(kept.call_limit)

    def admit(self, request: Request, path: str, headers: Message, body: str) -> None:
        """Raises Refusal for a private call that this key may not make."""
        self._check_signature(request.params, path, headers, body)
        self._check_nonce(request.params)
        if self.call_limit:
            self.call_limit.count_call(request)
        needed = NEEDED_RIGHTS.get(request.endpoint)
        if needed and not needed & self.permissions:
            raise Refusal("EGeneral:Permission denied")

    def _check_signature(self, params: Params, path: str, headers: Message, body: str) -> None:
        if headers.get("API-Key") != self.public:
            raise Refusal("EAPI:Invalid key")
        if not hmac.compare_digest(sign(self.secret, path, params.get("nonce", ""), body), signature_in(headers)):
            raise Refusal("EAPI:Invalid signature")

    def _check_nonce(self, params: Params) -> None:
        """Higher than any before; with a window, up to that much lower if it was never used."""
        text = params.get("nonce", "")
        nonce = int(text) if text.isdigit() else -1
        if nonce < 0 or nonce in self._nonces or nonce <= self.last_nonce - self.nonce_window:
            raise Refusal("EAPI:Invalid nonce")
        self._nonces.add(nonce)


def sign(secret: str, path: str, nonce: str, body: str) -> bytes:
    digest = hashlib.sha256((nonce + body).encode()).digest()
    return hmac.digest(base64.b64decode(secret), path.encode() + digest, "sha512")


def signature_in(headers: Message) -> bytes:
    try:
        return base64.b64decode(headers.get("API-Sign", ""))
    except binascii.Error:
        return b""
