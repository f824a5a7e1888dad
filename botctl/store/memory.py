"""Small things kept between runs, by name."""

from datetime import UTC, datetime

from botctl.store.models import Memory


def load(key: str) -> tuple[str, datetime] | None:
    """What was kept under `key`, and when; None when nothing was."""
    row = Memory.get_or_none(Memory.key == key)
    return None if row is None else (row.value, row.saved_at)


def save(key: str, value: str, at: datetime | None = None) -> None:
    """Keep `value` under `key`, in place of what was there."""
    moment = at or datetime.now(UTC)
    Memory.insert(key=key, value=value, saved_at=moment).on_conflict(
        conflict_target=[Memory.key], update={Memory.value: value, Memory.saved_at: moment}
    ).execute()
