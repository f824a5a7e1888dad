"""The API key: asked once a day what it may do and when it expires. One that may withdraw buys nothing."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from botctl.domain.configuration.refused_buys import withdraw_key_error
from botctl.domain.configuration.settings import Mode, Settings
from botctl.domain.errors import BotError
from botctl.domain.freshness import is_fresh
from botctl.ports import ApiKey, Exchange
from botctl.store import key_value

log = logging.getLogger(__name__)

KEY = "key.info"
ASKED_EVERY = timedelta(days=1)


@dataclass
class KeyCheck:
    """What is known of the key outlives a failed request: no answer is evidence of nothing.

    Before the first answer buys are allowed, with a warning: a key that can't be asked can't trade for long either.
    """

    exchange: Exchange
    key_id: str | None
    """Identifies the key whose answer is stored, without telling it; None where there is no key."""
    allow_withdraw: bool

    def ask(self) -> None:
        """Ask, unless that was done within a day. Then raise as `check`. Not for quiet runs."""
        self.refresh()
        self.check()

    def check(self) -> None:
        """Raises ConfigError for a key that may withdraw, without ALLOW_WITHDRAW_KEY."""
        known = self.load()
        if known is not None and known.withdraw_rights and not self.allow_withdraw:
            raise withdraw_key_error(known.withdraw_rights)

    def refresh(self) -> None:
        """Ask for the key at most once a day, whether that succeeds or not. Needs the process lock."""
        now = datetime.now(UTC)  # this machine's, also where the market's time is simulated
        if self.key_id is None or self._asked_within_a_day(now):
            return
        known = self.load()
        self._save(known, now)  # first: a request that fails, or ends the run, counts for the day too
        try:
            answer = self.exchange.fetch_api_key()
        except BotError as error:
            unknown = " and is unknown; doctor asks again" if known is None else ""
            log.warning("the rights of the API key can't be fetched%s: %s", unknown, error)
            return
        self.remember(answer)

    def remember(self, answer: ApiKey | None) -> None:
        self._save(answer, datetime.now(UTC))

    def load(self) -> ApiKey | None:
        """The newest answer about this key; None before the first. Raises BotError when the database can't be read."""
        return load_api_key(self.key_id)

    def _asked_within_a_day(self, now: datetime) -> bool:
        stored = key_value.load(KEY)
        asked = None if stored is None else key_value.parsed(KEY, stored, lambda text: json.loads(text)["id"])
        return asked is not None and asked[0] == self.key_id and is_fresh(asked[1], now, ASKED_EVERY)

    def _save(self, known: ApiKey | None, at: datetime) -> None:
        row = {
            "id": self.key_id,
            "withdraw": None if known is None else known.withdraw_rights,
            "expires": known.expires_at.isoformat() if known is not None and known.expires_at is not None else None,
        }
        key_value.save(KEY, json.dumps(row), at)


def key_id_of(settings: Settings) -> str | None:
    """A digest of the key that these settings trade with; None for paper money."""
    key = settings.kraken_api_key if settings.botctl_mode is Mode.LIVE else None
    return None if key is None else sha256(key.reveal().encode()).hexdigest()[:16]


def load_api_key(key_id: str | None) -> ApiKey | None:
    """As `KeyCheck.load`."""
    stored = key_value.load(KEY)
    known = None if stored is None else key_value.parsed(KEY, stored, lambda text: _parse(text, key_id))
    return None if known is None else known[0]


def _parse(text: str, key_id: str | None) -> ApiKey | None:
    row = json.loads(text)
    if row["id"] != key_id or row["withdraw"] is None:
        return None
    expires = datetime.fromisoformat(row["expires"]) if row["expires"] else None
    if expires is not None and expires.tzinfo is None:
        raise ValueError(f"{expires} has no time zone")
    return ApiKey(tuple(map(str, row["withdraw"])), expires)
