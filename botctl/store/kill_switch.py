"""The kill switch: what is allowed now. It fails closed: an unreadable switch means PAUSED."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from botctl.domain.errors import BotError
from botctl.domain.kill_switch import ACTIVE, PAUSED, SwitchSince, SwitchState
from botctl.store.key_value import UNREADABLE
from botctl.store.models import Event, SystemConfig, database
from botctl.store.sqlite import DATABASE_ERRORS, explain

MAX_CHANGES = 200
"""Of the switch, that are looked at to tell since when it is as it is."""


@dataclass
class Switch:
    """Reads and sets the switch. Each of `halt_files` pauses as well, whatever is in the database."""

    halt_files: tuple[Path, ...]

    def read(self) -> SwitchState:
        """The state now. Never raises: an unreadable switch is a paused one with buys disabled."""
        try:
            with database.atomic():  # a savepoint within a transaction: a failed read must not abort it on a server
                values = {row.key: row.value for row in SystemConfig.select(SystemConfig.key, SystemConfig.value)}
        except (BotError, *DATABASE_ERRORS, ValueError) as error:
            why = f"the kill switch can't be read ({error})"
            return SwitchState(PAUSED, False, False, None, why, readable=False)
        tripped_at, problem = _parse_time(values.get("tripped_at"))
        status, why = values.get("system_status", ""), values.get("pause_reason", "")
        readable = status in (ACTIVE, PAUSED) and problem is None
        if status not in (ACTIVE, PAUSED):
            status, why = PAUSED, f"system_status reads {status!r}"
        if problem is not None:
            status, why = PAUSED, problem
        for file in filter(os.path.lexists, self.halt_files):
            status, why, readable = PAUSED, f"the file {file} exists", True
        buys_enabled = values.get("buy_enabled") == "true" and values.get("tripped_at") == ""
        return SwitchState(status, values.get("frozen") == "true", buys_enabled, tripped_at, why, readable)

    def read_since(self) -> SwitchSince:
        """Since when it is paused, frozen and without buys, by its events. Never raises: unknown is None."""
        try:
            newest = Event.select().where(Event.kind == "switch").order_by(Event.id.desc()).limit(MAX_CHANGES)
            changes = list[Event](newest)
            paused, frozen, disabled = (
                next((each for each in changes if _turned(each, name, value)), None)
                for name, value in (("system_status", PAUSED), ("frozen", "true"), ("buy_enabled", "false"))
            )
        except (BotError, *DATABASE_ERRORS, *UNREADABLE):
            return SwitchSince()
        return SwitchSince(_time_of(paused), _time_of(frozen), _time_of(disabled), disabled.why if disabled else "")

    def pause(self, now: datetime, *, freeze: bool, reason: str) -> None:
        """No new entries; with `freeze` no orders at all except by liquidate."""
        changes = {"system_status": PAUSED}
        if reason:  # a pause without a reason keeps the earlier one
            changes["pause_reason"] = reason
        if freeze:
            changes["frozen"] = "true"
        self._set(now, reason or ("pause --freeze" if freeze else "pause"), changes)

    def resume(self, now: datetime, *, enable_buys: bool) -> None:
        """Allow entries; with `enable_buys` also after a drawdown or a liquidation disabled them."""
        changes = {"system_status": ACTIVE, "frozen": "false", "pause_reason": ""}
        if enable_buys:
            changes |= {"buy_enabled": "true", "tripped_at": ""}
        self._set(now, "resume --enable-buys" if enable_buys else "resume", changes)

    def disable_buys(self, now: datetime, why: str) -> None:
        self._set(now, why, {"buy_enabled": "false"})

    def trip(self, now: datetime, why: str) -> None:
        """The drawdown guard has fired: buys are disabled, and every later tick sells what is still open."""
        self._set(now, why, {"buy_enabled": "false", "tripped_at": now.isoformat()})

    def halt(self) -> Path:
        """Pause by creating one of the files, which is returned. Raises OSError."""
        for file in self.halt_files[:-1]:
            with suppress(OSError):
                return _create(file)
        return _create(self.halt_files[-1])

    def _set(self, now: datetime, why: str, changes: dict[str, str]) -> None:
        """Write settings and their event. A missing table is created: settings missing in it still read as paused.

        Raises BotError when that fails, after it has paused by the HALT file.
        """
        try:
            SystemConfig.create_table(safe=True)
            self._write(now, why, changes)
        except (BotError, *DATABASE_ERRORS) as error:
            with suppress(OSError):
                self.halt()
            if isinstance(error, BotError):
                raise
            raise explain(error) from error

    def _write(self, now: datetime, why: str, changes: dict[str, str]) -> None:
        with database.atomic("IMMEDIATE"):
            rows = SystemConfig.select().where(SystemConfig.key.in_(list(changes)))
            before = {row.key: str(row.value) for row in rows}
            for key, value in changes.items():
                SystemConfig.insert(key=key, value=value, updated_at=now).on_conflict(
                    conflict_target=[SystemConfig.key], update={SystemConfig.value: value, SystemConfig.updated_at: now}
                ).execute()
            Event.create(at=now, kind="switch", before=before, after=changes, why=why)


def _turned(event: Event, name: str, value: str) -> bool:
    """Whether this event has set a setting of the switch to a value that it did not have."""
    return bool(event.after.get(name) == value and event.before.get(name) != value)


def _time_of(event: Event | None) -> datetime | None:
    return None if event is None else event.at


def _create(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    return file


def _parse_time(text: str | None) -> tuple[datetime | None, str | None]:
    """The stored time, or the problem with it: an unreadable one pauses, and sells nothing."""
    if text is None:
        return None, "tripped_at is missing"
    try:
        return (datetime.fromisoformat(text) if text else None), None
    except ValueError:
        return None, f"tripped_at reads {text!r}"
