"""Lets a home know its API key and the account's fees, as after a run of the same day that asked for them."""

import json
from datetime import datetime
from hashlib import sha256

from botctl.store.location import DatabaseLocation
from tests import databases

ASSETS = ("BTC", "ETH", "SOL", "ADA", "DOGE", "DOT", "EUR")


def know_the_key(where: DatabaseLocation, api_key: str, at: datetime) -> None:
    known = {"id": sha256(api_key.encode()).hexdigest()[:16], "withdraw": [], "expires": None}
    saved_at = at.isoformat(timespec="microseconds")
    fees = {"known": {}, "asked": [f"{asset}/USD" for asset in ASSETS] + ["BTC/EUR", "ETH/EUR"]}
    for key, value in {"key.info": known, "fees": fees}.items():
        row = f"('{key}', '{json.dumps(value)}', '{saved_at}')"
        databases.execute(where, f"INSERT INTO memory (key, value, saved_at) VALUES {row}")
