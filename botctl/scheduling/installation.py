"""What runs the ticks of a home: described, installed, removed and checked."""

import os
import pwd
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

from botctl.domain.errors import BotError, ConfigError
from botctl.domain.health.checks import CheckResult
from botctl.files import write_private
from botctl.scheduling import crontab, systemd
from botctl.scheduling.schedule import CRON, SYSTEMD, Job, ScheduleView


def describe_schedule(kind: str, job: Job) -> ScheduleView:
    """What is installed, or else what would be."""
    listed = (crontab.read_crontab() if kind == CRON else read_crontab_if_available()) or ""
    wanted = render_files(kind, job)
    if kind == CRON:
        installed = {"crontab": crontab.find_block(listed, job.home)}
        current = installed == wanted
    else:
        installed = {path: systemd.read_unit(Path(path).name) for path in wanted}
        timer = f"{systemd.unit_name(job.home)}.timer"
        current = installed in (wanted, render_files(kind, job, sandbox=False)) and systemd.timer_is_active(timer)
    return ScheduleView(
        kind=kind,
        installed=any(text is not None for text in installed.values()),
        current=current,
        home=job.home,
        every=job.timeframe,
        delay_seconds=job.delay_seconds,
        files={path: wanted[path] if text is None else text for path, text in installed.items()},
        others=crontab.find_manual_ticks(listed, job.home),
        backup=None,
        changed=False,
        notes=_time_zone_notes(kind, job),
    )


def is_installed(home: str, kind: str) -> bool:
    if kind == SYSTEMD:
        with suppress(ConfigError):  # a user without a home has no units
            return systemd.read_unit(f"{systemd.unit_name(home)}.timer") is not None
        return False
    return crontab.find_block(read_crontab_if_available() or "", home) is not None


def read_crontab_if_available() -> str | None:
    """The crontab; None also where cron is not installed or not allowed."""
    with suppress(ConfigError):
        return crontab.read_crontab() if which("crontab") else None
    return None


def render_files(kind: str, job: Job, *, sandbox: bool = True) -> dict[str, str]:
    """The crontab block or the unit files of a job, by path."""
    if kind == CRON:
        return {"crontab": crontab.cron_block(job)}
    path = systemd.units_folder() / systemd.unit_name(job.home)
    return {f"{path}.service": systemd.service_unit(job, sandbox=sandbox), f"{path}.timer": systemd.timer_unit(job)}


def replace_crontab(folder: Path, text: str) -> str | None:
    """Replace the crontab. Returns the path of the old one's copy in `folder`."""
    before = crontab.read_crontab()
    backup = folder / f"crontab-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.backup"
    if before is not None:
        write_private(backup, before.encode(errors="surrogateescape"))
    crontab.write_crontab(text)
    return None if before is None else str(backup)


def installation_notes(kind: str, job: Job, *, sandbox: bool) -> list[str]:
    """What the user must know about a schedule that was just installed."""
    if kind == CRON:
        return _time_zone_notes(kind, job)
    notes = [] if sandbox else ["this system has no sandbox for user services, so the service runs without one"]
    if not systemd.lingers():
        notes.append(f"it runs only while you are logged in: `loginctl enable-linger {_user_name()}` changes that")
    return notes


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without an entry, as in containers
        return str(os.getuid())


def _time_zone_notes(kind: str, job: Job) -> list[str]:
    if kind == CRON and job.timeframe in ("4h", "1d"):
        return ["cron uses local time, candles close by UTC: the tick may come hours after the close"]
    return []


def check_schedule(folder: Path) -> CheckResult:
    """Whether systemd or cron runs the ticks of the home in this folder."""
    install = "run `botctl schedule install`"
    timer = f"{systemd.unit_name(str(folder))}.timer"
    try:
        is_timer = systemd.read_unit(timer) is not None
    except ConfigError as error:
        return CheckResult("schedule", "warn", error.message, error.hint)
    if is_timer:
        if systemd.timer_is_active(timer):
            return CheckResult("schedule", "ok", f"systemd runs botctl tick ({timer})")
        return CheckResult("schedule", "warn", f"{timer} is installed but not active", install)
    try:
        listed = crontab.read_crontab() or ""
        found = crontab.find_block(listed, str(folder)) or crontab.find_manual_ticks(listed, str(folder))
    except BotError as error:
        return CheckResult("schedule", "warn", error.message, error.hint)
    if found:
        return CheckResult("schedule", "ok", f"the crontab runs botctl tick in {folder}")
    return CheckResult("schedule", "warn", "neither cron nor systemd runs botctl tick", install)
