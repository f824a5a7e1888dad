"""The user's crontab, and the block of it that runs the ticks of one home."""

import os
import re
import shlex

from botctl.domain.errors import ConfigError
from botctl.scheduling.programs import run_program
from botctl.scheduling.schedule import INTERVALS, Job

MAX_COMMAND_LENGTH = 900
"""Some implementations of cron refuse a line of 1000 characters."""
NO_CRONTAB = re.compile(r"no crontab for|no such file or directory", re.IGNORECASE)
"""What `crontab -l` prints for a user without one. Any other failure does not mean an empty crontab."""
WITHOUT_CRON = "botctl schedule install --systemd, or have `botctl tick` run once per TIMEFRAME some other way"


def read_crontab() -> str | None:
    """The crontab, or None when this user has none. Raises ConfigError when it can't be read."""
    listed = run_program(("crontab", "-l"), hint=WITHOUT_CRON)
    if listed.returncode == 0:
        return listed.stdout
    complaint = listed.stderr.strip()
    if not listed.stdout and NO_CRONTAB.search(complaint):
        return None
    raise ConfigError(f"`crontab -l` failed: {complaint or listed.returncode}", hint="check that you may use cron")


def write_crontab(text: str) -> None:
    """Replace the crontab, and read it back to verify it. Raises ConfigError."""
    written = run_program(("crontab", "-"), hint=WITHOUT_CRON, text=text)
    if written.returncode != 0:
        complaint = written.stderr.strip() or written.returncode
        raise ConfigError(f"`crontab -` refused the new crontab: {complaint}", hint="the old one is unchanged")
    if (read_crontab() or "") != text:
        raise ConfigError("the crontab differs from what was written", hint="check it with `crontab -l`")


def cron_line(job: Job) -> str:
    """The crontab line of a job. Raises ConfigError for one that cron may refuse.

    It carries its environment: a setting on a line of its own would change the lines below as well.
    """
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in job.environment)
    command = f"sleep {job.delay_seconds}; cd {shlex.quote(job.home)} && env {settings} {shlex.join(job.command)}"
    if len(command) > MAX_COMMAND_LENGTH:
        raise ConfigError(f"a line of {len(command)} characters is too long for cron", hint="use --systemd")
    return f"{INTERVALS[job.timeframe][0]} " + command.replace("%", r"\%")  # a bare % is a line break to cron


def cron_block(job: Job) -> str:
    """The lines of a crontab that belong to this home, between two fence lines."""
    first, last = _fence_lines(job.home)
    note = f"# A tick every {job.timeframe}, by `botctl schedule install`; `botctl schedule remove` takes it out."
    return "\n".join([first, note, cron_line(job), last])


def find_block(crontab: str, home: str) -> str | None:
    """The block of this home. Raises ConfigError when its fence lines don't match."""
    lines = crontab.split("\n")
    span = _block_span(lines, home)
    return None if span is None else "\n".join(lines[span])


def with_block(crontab: str, home: str, block: str) -> str:
    """The crontab with the home's block replaced, or appended. Every other line stays as it is."""
    lines = crontab.split("\n")
    if lines[-1]:  # the last line has no line break
        lines.append("")
    lines[_block_span(lines, home) or slice(len(lines) - 1, len(lines) - 1)] = block.split("\n")
    return "\n".join(lines)


def without_block(crontab: str, home: str) -> str:
    """The crontab without the block of this home. Every other line stays as it is."""
    lines = crontab.split("\n")
    if (span := _block_span(lines, home)) is not None:
        del lines[span]
    return "\n".join(lines)


def find_manual_ticks(crontab: str, home: str) -> list[str]:
    """Lines outside the block that run a tick in this home, by whatever name they reach it."""
    in_home = re.compile(rf"{re.escape(home)}(?![^\s/'\"])")
    return [
        line
        for line in without_block(crontab, home).split("\n")
        if not line.lstrip().startswith("#")
        and re.search(r"botctl\b.*\btick\b", line)
        and (in_home.search(line) or home in map(os.path.realpath, re.findall(r"/[^\s'\";&|=]+", line)))
    ]


def parse_delay(block: str) -> int | None:
    """The delay in a block, in seconds."""
    match = re.search(r"^\S.* sleep ([0-9]{1,4}); cd ", block, re.MULTILINE)
    return int(match[1]) if match else None


def _fence_lines(home: str) -> tuple[str, str]:
    return f"# >>> botctl {home}", f"# <<< botctl {home}"


def _block_span(lines: list[str], home: str) -> slice | None:
    """The lines of this home's block, with its fence lines."""
    first, last = _fence_lines(home)
    if first not in lines and last not in lines:
        return None
    if lines.count(first) != 1 or lines.count(last) != 1 or lines.index(last) < lines.index(first):
        raise ConfigError(
            f"the crontab must have the lines {first!r} and {last!r} once each, in this order",
            hint="fix it with `crontab -e`, then run this again",
        )
    return slice(lines.index(first), lines.index(last) + 1)
