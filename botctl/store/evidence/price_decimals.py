"""The decimals of each market's prices, as its exchange last told them: for people, who are offline more often."""

import json
from collections.abc import Mapping

from botctl.store import key_value

KEY = "market.price_decimals"


def save_price_decimals(decimals: Mapping[str, int]) -> None:
    if load_price_decimals() != decimals:
        key_value.save_cached(KEY, json.dumps(decimals))


def load_price_decimals() -> Mapping[str, int]:
    """By symbol; empty before the first look at the exchange's markets."""
    found: dict[str, object] = key_value.load_json(KEY, dict) or {}
    return {symbol: decimals for symbol, decimals in found.items() if isinstance(decimals, int) and 0 <= decimals <= 30}
