"""When SQLite checks the whole file before an entry: once a day, and after a run that was cut off."""

from datetime import UTC, datetime

from botctl.store.key_value import load_cached, save_cached
from botctl.store.location import opened_where

CHECKED_KEY = "integrity.checked"


def find_damage_daily() -> str | None:
    """SQLite's complaint about the open database, None without one or when it was checked today."""
    today, checked = f"{datetime.now(UTC):%Y-%m-%d}", load_cached(CHECKED_KEY)
    if checked is not None and checked[0] == today:
        return None
    complaint = opened_where().find_damage()
    if complaint is None:
        save_cached(CHECKED_KEY, today)
    return complaint


def require_check() -> None:
    """Let the next entry check the file, whatever the day."""
    if load_cached(CHECKED_KEY) is not None:
        save_cached(CHECKED_KEY, "")
