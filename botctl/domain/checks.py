"""What one check found: ok, warn or fail, and the fix. doctor, `config check` and `db check` answer a list of these."""

from dataclasses import dataclass
from datetime import timedelta

KEY_EXPIRES_SOON = timedelta(days=14)
"""How long before its end an API key is worth a warning: without one nothing can be sold."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at. `status` is ok, warn (it can wait) or fail (it can't)."""

    name: str
    status: str
    detail: str
    fix: str = ""
