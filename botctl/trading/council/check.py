"""Checks of the Council's members, for `botctl doctor`."""

import shlex
import shutil

from botctl.domain.configuration.settings import Settings
from botctl.domain.errors import ConfigError
from botctl.domain.health.checks import CheckResult
from botctl.trading.council.master_node import find_agents


def check_council(settings: Settings) -> CheckResult:
    """Whether the agents of COUNCIL, or the program of COUNCIL_COMMAND, exist and can decide something."""
    if settings.council_command is not None:
        return _check_command(settings.council_command)
    names = settings.council
    try:
        find_agents(names)
    except ConfigError as error:
        return CheckResult("council", "fail", error.message, error.hint)
    if set(names) in ({"technical"}, {"sentiment"}):
        detail = f"{names[0]} alone never decides: a buy takes FEAR and BULLISH"
        return CheckResult("council", "warn", detail, "COUNCIL=technical,sentiment")
    return CheckResult("council", "ok", ", ".join(names))


def _check_command(command: str) -> CheckResult:
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError) as error:
        return CheckResult("council", "fail", f"COUNCIL_COMMAND is not a command: {error}", "correct the setting")
    if shutil.which(program) is None:
        return CheckResult("council", "fail", f"COUNCIL_COMMAND: no such program: {program!r}", "correct the setting")
    return CheckResult("council", "ok", f"COUNCIL_COMMAND runs {program}")
