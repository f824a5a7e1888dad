"""Converts unix seconds, as files and exchanges write times, to moments and back."""

from datetime import UTC, datetime
from typing import SupportsFloat


def from_unix(seconds: SupportsFloat) -> datetime:
    """The moment, aware, UTC. Raises ValueError, OverflowError or OSError for one that no calendar has."""
    return datetime.fromtimestamp(float(seconds), UTC)


def to_unix(moment: datetime) -> int:
    """The whole unix seconds of an aware moment; a fraction of a second is left off."""
    return int(moment.timestamp())
