"""Finds what runs the ticks of a home: a systemd timer, or a line of the crontab."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from botctl.domain.errors import BotError
from botctl.domain.health.ticking import Ticking
from botctl.scheduling import crontab, systemd
from botctl.scheduling.installation import read_crontab_if_available
from botctl.scheduling.schedule import CRON, SYSTEMD


def find_ticking(folder: Path, last_tick_at: datetime | None, now: datetime, seconds: int) -> Ticking:
    """What runs the ticks of the home in this folder, with the age of the last one. `seconds` is between two."""
    by, active = find_runner(folder)
    return Ticking(by, active, last_tick_at, now, seconds)


def find_runner(folder: Path) -> tuple[str | None, bool]:
    """`systemd`, `cron` or None, and whether it is active. What can't be read runs nothing."""
    timer = f"{systemd.unit_name(str(folder))}.timer"
    stopped = False
    with suppress(BotError):
        if systemd.read_unit(timer) is not None:
            if systemd.timer_is_active(timer):
                return SYSTEMD, True
            stopped = True
    with suppress(BotError):
        listed = read_crontab_if_available() or ""
        if crontab.find_block(listed, str(folder)) or crontab.find_manual_ticks(listed, str(folder)):
            return CRON, True
    return (SYSTEMD, False) if stopped else (None, True)
