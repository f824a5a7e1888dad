"""What one check found: ok, warn or fail, and the fix. doctor, `config check` and `db check` answer a list of these."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckLine:
    """One thing that was looked at. `status` is ok, warn (it can wait) or fail (it can't)."""

    name: str
    status: str
    detail: str
    fix: str = ""
