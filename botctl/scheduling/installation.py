"""What runs the ticks of a home, what would, and how it is put there and taken away."""

import os
import pwd
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

from botctl.domain.errors import ConfigError
from botctl.files import write_private
from botctl.scheduling import crontab, systemd
from botctl.scheduling.schedule import (
    CRON,
    SYSTEMD,
    Job,
    ScheduleView,
    cron_block,
    find_block,
    other_ticks,
    service_unit,
    timer_unit,
    unit_name,
)

NO_SANDBOX = "systemd gives no sandbox to users here, so the service runs without one"


def describe_schedule(kind: str, job: Job) -> ScheduleView:
    """What is installed, or else what would be."""
    listed = (crontab.read_crontab() if kind == CRON else crontab_or_none()) or ""
    wanted = files_of(kind, job)
    if kind == CRON:
        here = {"crontab": find_block(listed, job.home)}
        current = here == wanted
    else:
        here = {place: systemd.read_unit(Path(place).name) for place in wanted}
        timer = f"{unit_name(job.home)}.timer"
        current = here in (wanted, files_of(kind, job, sandbox=False)) and systemd.timer_is_active(timer)
    return ScheduleView(
        kind=kind,
        installed=any(text is not None for text in here.values()),
        current=current,
        home=job.home,
        every=job.timeframe,
        delay_seconds=job.delay_seconds,
        files={place: wanted[place] if text is None else text for place, text in here.items()},
        others=other_ticks(listed, job.home),
        backup=None,
        changed=False,
        notes=_local_time(kind, job),
    )


def is_installed(home: str, kind: str) -> bool:
    """Whether this runs the ticks of a home."""
    if kind == SYSTEMD:
        return systemd.read_unit(f"{unit_name(home)}.timer") is not None
    return find_block(crontab_or_none() or "", home) is not None


def crontab_or_none() -> str | None:
    """The crontab; None where there is none, or no cron, or no leave to use it."""
    with suppress(ConfigError):
        return crontab.read_crontab() if which("crontab") else None
    return None


def files_of(kind: str, job: Job, *, sandbox: bool = True) -> dict[str, str]:
    """What must be in the crontab or in the unit files, by place."""
    if kind == CRON:
        return {"crontab": cron_block(job)}
    folder, name = systemd.units_folder(), unit_name(job.home)
    return {
        str(folder / f"{name}.service"): service_unit(job, sandbox=sandbox),
        str(folder / f"{name}.timer"): timer_unit(job),
    }


def replace_crontab(folder: Path, text: str) -> str | None:
    """Write a crontab; the old one is kept in `folder` first. Returns where."""
    before = crontab.read_crontab()
    backup: Path | None = None
    if before is not None:
        backup = folder / f"crontab-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.backup"
        write_private(backup, before.encode(errors="surrogateescape"))
    crontab.write_crontab(text)
    return None if backup is None else str(backup)


def install_timer(units: dict[str, str]) -> None:
    """Write a service and its timer, and have systemd start it."""
    systemd.write_units({Path(place).name: text for place, text in units.items()})
    timer = next(Path(place).name for place in units if place.endswith(".timer"))
    systemd.systemctl("enable", timer)
    systemd.systemctl("restart", timer)  # one that runs already must learn its new times


def remove_timer(home: str) -> None:
    """Stop the timer of a home, and take it away with its service."""
    name = unit_name(home)
    systemd.systemctl("disable", "--now", f"{name}.timer")
    systemd.remove_units([f"{name}.timer", f"{name}.service"])


def notes_on(kind: str, job: Job, *, sandbox: bool) -> list[str]:
    """What must be known of a schedule that was just installed."""
    if kind == CRON:
        return _local_time(kind, job)
    notes = [] if sandbox else [NO_SANDBOX]
    if not systemd.lingers():
        user = pwd.getpwuid(os.getuid()).pw_name
        notes.append(f"it runs only while you are logged in: `loginctl enable-linger {user}`")
    return notes


def _local_time(kind: str, job: Job) -> list[str]:
    if kind == CRON and job.timeframe in ("4h", "1d"):
        return ["cron knows local time alone: candles close by UTC, so the tick may come hours later"]
    return []
