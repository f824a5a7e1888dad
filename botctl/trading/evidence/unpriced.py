"""Names the balances that nobody can price, each once, and asks the exchange for their market."""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass

from botctl.domain.errors import BadValue, BotError
from botctl.domain.symbols import base_of
from botctl.ports import Exchange
from botctl.store import key_value
from botctl.store.journal import Journal
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)

KEY = "valuation.unpriced"
"""The assets that were named already."""


@dataclass
class UnpricedAssets:
    exchange: Exchange
    journal: Journal
    quote_currency: str
    ignored: Collection[str]

    def name_new(self, snapshot: Snapshot) -> list[str]:
        """A note for each asset that was not named before. Called after the stops: it may ask for markets.

        Those of open trades have an error of their own.
        """
        traded = {base_of(symbol) for symbol in self.journal.open_symbols()}
        unpriced = snapshot.unvalued.keys() - traded
        before = set(key_value.load_json(KEY, list) or [])
        if unpriced != before:
            key_value.save_cached(KEY, json.dumps(sorted(unpriced)))
        return [self._note(asset, snapshot) for asset in sorted(unpriced - before) if not self._is_settled(asset)]

    def _is_settled(self, asset: str) -> bool:
        """Whether there is nothing to say: it is ignored, or Kraken lists its market by now."""
        return asset in self.ignored or self._is_listed(asset)

    def _is_listed(self, asset: str) -> bool:
        """The list of markets may be a day old: Kraken is asked for this one. The next look has its price."""
        symbol = f"{asset}/{self.quote_currency}"
        if symbol in self.exchange.load_markets():
            return False  # it is listed, and has no price
        try:
            self.exchange.find_market(symbol)
        except BadValue:
            return False
        except BotError as error:
            log.info("%s: %s", symbol, error)
            return False
        return True

    def _note(self, asset: str, snapshot: Snapshot) -> str:
        value = snapshot.unvalued[asset]
        counts = f"at most at its last known value, {value:.2f} {self.quote_currency}" if value else "for nothing"
        return f"{asset} has no price, and counts {counts}; this is said once, and never with IGNORE_ASSETS={asset}"
