"""Whether something runs the ticks of a home by itself."""

from pathlib import Path

from botctl.domain.checks import CheckResult
from botctl.domain.errors import BotError
from botctl.scheduling import crontab, systemd
from botctl.scheduling.schedule import find_block, other_ticks, unit_name


def check_schedule(folder: Path) -> CheckResult:
    """A timer of systemd, or a line of the crontab, starts the ticks of the home in this very folder."""
    timer = f"{unit_name(str(folder))}.timer"
    if systemd.read_unit(timer) is not None:
        if systemd.timer_is_active(timer):
            return CheckResult("schedule", "ok", f"systemd runs botctl tick ({timer})")
        return CheckResult("schedule", "warn", f"{timer} is there and not active", "run `botctl schedule install`")
    try:
        listed = crontab.read_crontab() or ""
        here = find_block(listed, str(folder)) or other_ticks(listed, str(folder))
    except BotError as error:
        return CheckResult("schedule", "warn", error.message, error.hint)
    if here:
        return CheckResult("schedule", "ok", f"the crontab runs botctl tick in {folder}")
    return CheckResult("schedule", "warn", "nothing runs botctl tick by itself", "run `botctl schedule install`")
