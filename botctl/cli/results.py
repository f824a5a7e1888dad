"""Results of the commands for settings and the database, with the fields of `--json`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botctl.store.copy import CopiedTable


@dataclass(frozen=True)
class ConfigLine:
    name: str
    value: str | None
    source: str
    """`environment`, `file`, `default` or `not set`."""
    file: str | None


@dataclass(frozen=True)
class InitView:
    mode: str
    env_file: str
    env_written: bool
    database: str
    database_created: bool
    next: list[str]


@dataclass(frozen=True)
class MigrateView:
    database: str
    schema_before: int | None
    schema: int


@dataclass(frozen=True)
class BackupView:
    database: str
    file: str
    bytes: int


@dataclass(frozen=True)
class CopyView:
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


@dataclass(frozen=True)
class ServeView:
    url: str


@dataclass(frozen=True)
class NewAgentView:
    name: str
    kind: str
    """`agent` or `program`."""
    files: list[str]
    next: list[str]


@dataclass(frozen=True)
class HelpView:
    """What `botctl help` shows."""

    command: str
    text: str
