"""What the commands around settings and the database answer. The fields of `--json` are these fields."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botctl.store.copy import CopiedTable


@dataclass(frozen=True)
class ConfigLine:
    """One setting as it acts."""

    name: str
    value: str | None
    source: str
    """`environment`, `file`, `default` or `not set`."""
    file: str | None


@dataclass(frozen=True)
class InitView:
    """What init wrote, and what to do next."""

    mode: str
    env_file: str
    env_written: bool
    database: str
    database_created: bool
    next: list[str]


@dataclass(frozen=True)
class MigrateView:
    """The schema that a database had, and the one it has."""

    database: str
    schema_before: int | None
    schema: int


@dataclass(frozen=True)
class BackupView:
    """A copy of the database; its size in bytes."""

    database: str
    file: str
    bytes: int


@dataclass(frozen=True)
class CopyView:
    """What was copied from one database to another, and what to do next."""

    database: str
    to: str
    rows: int
    tables: "list[CopiedTable]"
    next: list[str]


@dataclass(frozen=True)
class NotifyView:
    """Whether one address of NOTIFY_URLS took the test message."""

    service: str
    """The scheme of the address; the rest of it may be a secret."""
    ok: bool
    detail: str
