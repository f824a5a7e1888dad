"""Lets a home know its API key, as after a run of the same day that asked for it."""

import json
from datetime import datetime
from hashlib import sha256

from botctl.store.location import DatabaseLocation
from tests import databases


def know_the_key(where: DatabaseLocation, api_key: str, at: datetime) -> None:
    known = {"id": sha256(api_key.encode()).hexdigest()[:16], "withdraw": [], "expires": None}
    saved_at = at.isoformat(timespec="microseconds")
    databases.execute(
        where, f"INSERT INTO memory (key, value, saved_at) VALUES ('key.info', '{json.dumps(known)}', '{saved_at}')"
    )
