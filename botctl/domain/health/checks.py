"""The result of one check, as doctor, `config check` and `db check` report it."""

from dataclasses import dataclass
from datetime import timedelta

KEY_EXPIRES_SOON = timedelta(days=14)
"""Warn this long before an API key expires: without one nothing can be sold."""


@dataclass(frozen=True)
class CheckResult:
    """`status` is ok, warn (can wait) or fail (must be fixed)."""

    name: str
    status: str
    detail: str
    fix: str = ""
