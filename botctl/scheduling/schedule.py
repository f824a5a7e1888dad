"""What cron and systemd are told: which line, which unit files, and where in somebody's crontab."""

import hashlib
import re
import shlex
from dataclasses import dataclass

from botctl.domain.errors import ConfigError
from botctl.domain.settings import CONTROL
from botctl.domain.symbols import Timeframe

EVERY: dict[str, tuple[str, str]] = {
    "1m": ("* * * * *", "*:*"),
    "5m": ("*/5 * * * *", "*:0/5"),
    "15m": ("*/15 * * * *", "*:0/15"),
    "30m": ("*/30 * * * *", "*:0/30"),
    "1h": ("0 * * * *", "*:00"),
    "4h": ("0 */4 * * *", "0/4:00"),
    "1d": ("0 0 * * *", "00:00"),
}
"""For each timeframe the fields of a crontab and of OnCalendar=. systemd takes UTC, cron knows local time alone."""
SHORTEST_DELAY, LONGEST_DELAY = 5, 120
"""Seconds after the close of a candle. The shortest lets Kraken write the candle down."""
MOST_OF_A_COMMAND = 900
"""Characters. Some crons refuse a line of a thousand."""
CRON, SYSTEMD = "cron", "systemd"


@dataclass(frozen=True)
class Job:
    """A tick that somebody else is to start, again and again."""

    home: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    timeframe: Timeframe
    delay_seconds: int
    """After each full interval, so that not everybody asks Kraken at once. In cron it is fixed, in systemd the most."""
    limit_seconds: float
    """When the tick ends by itself."""
    writable: tuple[str, ...] = ()
    """Folders it writes to, the home first."""

    def __post_init__(self) -> None:
        for text in (self.home, *self.command, *(value for _, value in self.environment), *self.writable):
            if CONTROL.search(text):
                raise ConfigError(f"{text!r} holds control characters", hint="use a path without them")


def longest_delay(timeframe: Timeframe) -> int:
    """Seconds. A quarter of the interval at most: the tick needs the rest."""
    return min(LONGEST_DELAY, timeframe.seconds // 4)


# cron


def cron_line(job: Job) -> str:
    """The line of a crontab, without its end. Raises ConfigError for one that cron may refuse.

    Everything it needs stands in it: a setting on a line of its own would act on the lines below as well.
    """
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in job.environment)
    command = f"sleep {job.delay_seconds}; cd {shlex.quote(job.home)} && env {settings} {shlex.join(job.command)}"
    if len(command) > MOST_OF_A_COMMAND:
        raise ConfigError(f"a line of {len(command)} characters is too long for cron", hint="use --systemd")
    return f"{EVERY[job.timeframe][0]} " + command.replace("%", r"\%")  # a bare % is a line's end to cron


def cron_block(job: Job) -> str:
    """The lines of a crontab that belong to this home, between two marks."""
    first, last = _fence_lines(job.home)
    note = f"# A tick every {job.timeframe}, by `botctl schedule install`; `botctl schedule remove` takes it out."
    return "\n".join([first, note, cron_line(job), last])


def find_block(crontab: str, home: str) -> str | None:
    """The block of this home. Raises ConfigError where its marks don't match."""
    lines = crontab.split("\n")
    span = _span(lines, home)
    return None if span is None else "\n".join(lines[span[0] : span[1]])


def with_block(crontab: str, home: str, block: str) -> str:
    """The crontab with this block in the old one's place, or at the end. Every other line stays as it is."""
    lines = crontab.split("\n")
    if lines[-1]:  # somebody forgot the end of the last line
        lines.append("")
    first, end = _span(lines, home) or (len(lines) - 1, len(lines) - 1)
    lines[first:end] = block.split("\n")
    return "\n".join(lines)


def without_block(crontab: str, home: str) -> str:
    """The crontab without the block of this home. Every other line stays as it is."""
    lines = crontab.split("\n")
    if (span := _span(lines, home)) is not None:
        del lines[span[0] : span[1]]
    return "\n".join(lines)


def other_ticks(crontab: str, home: str) -> list[str]:
    """Lines somebody wrote by hand that run a tick in this home."""
    outside = without_block(crontab, home).split("\n")
    here = re.compile(rf"{re.escape(home)}(?![^\s/'\"])")
    return [
        line
        for line in outside
        if not line.lstrip().startswith("#") and re.search(r"botctl\b.*\btick\b", line) and here.search(line)
    ]


def delay_in(block: str) -> int | None:
    """The delay that a block was written with, in seconds."""
    found = re.search(r"^\S.* sleep ([0-9]{1,4}); cd ", block, re.MULTILINE)
    return int(found[1]) if found else None


def _fence_lines(home: str) -> tuple[str, str]:
    return f"# >>> botctl {home}", f"# <<< botctl {home}"


def _span(lines: list[str], home: str) -> tuple[int, int] | None:
    """Where the block of this home begins, and where the line after it does."""
    first, last = _fence_lines(home)
    if first not in lines and last not in lines:
        return None
    if lines.count(first) != 1 or lines.count(last) != 1 or lines.index(last) < lines.index(first):
        raise ConfigError(
            f"the crontab has not one pair of the marks {first!r} and {last!r}",
            hint="put them right with `crontab -e`, then run this again",
        )
    return lines.index(first), lines.index(last) + 1


# systemd


def unit_name(home: str) -> str:
    """The name of this home's units, without their endings: each home has its own."""
    folder = re.sub(r"[^A-Za-z0-9]+", "-", home.rsplit("/", 1)[-1]).strip("-") or "home"
    return f"botctl-{folder[:40]}-{hashlib.sha256(home.encode(errors='surrogateescape')).hexdigest()[:6]}"


def service_unit(job: Job, *, sandbox: bool = True) -> str:
    """The service file: one tick. Without `sandbox` it lacks what some systems refuse to users' own units."""
    command = " ".join(_quoted(word).replace("$", "$$") for word in job.command)
    environment = " ".join(_quoted(f"{name}={value}") for name, value in job.environment)
    stop = (job.timeframe.seconds + job.limit_seconds) / 2
    lines = [
        "# Written by `botctl schedule install`; `botctl schedule remove` takes it out.",
        "[Unit]",
        f"Description=A tick of botctl in {_percent(job.home)}",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_percent(job.home)}",
        f"Environment={environment}",
        f"ExecStart={command}",
        f"# A tick ends by itself after {job.limit_seconds:g} seconds. This is for one that hangs.",
        f"TimeoutStartSec={stop:.0f}",
        "UMask=0077",
        *[f"{name}={value}" for name, value in RESTRAINTS],
    ]
    if sandbox:
        folders = " ".join(_quoted(f"-{folder}") for folder in job.writable)
        lines += [
            "# It writes to its home and to a cache of compiled code, and to nothing else.",
            *[f"{name}={value}" for name, value in SANDBOX],
            f"ReadWritePaths={folders} -%C/botctl",
            "CacheDirectory=botctl",
            "Environment=NUMBA_CACHE_DIR=%C/botctl",
        ]
    return "\n".join([*lines, ""])


RESTRAINTS = (
    ("NoNewPrivileges", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
)
SANDBOX = (("ProtectSystem", "strict"), ("PrivateTmp", "yes"))
"""What takes a namespace of one's own, which not every system gives to users."""


def timer_unit(job: Job) -> str:
    """The timer file: when."""
    calendar = EVERY[job.timeframe][1]
    return "\n".join(
        [
            "# Written by `botctl schedule install`; `botctl schedule remove` takes it out.",
            "[Unit]",
            f"Description=Ticks of botctl every {job.timeframe} in {_percent(job.home)}",
            "",
            "[Timer]",
            f"OnCalendar={calendar}:{SHORTEST_DELAY:02} UTC",
            "# A tick that was due while the machine was off runs at once when it is back.",
            "Persistent=true",
            "# Some seconds late, always the same on this machine: not everybody should ask Kraken at once.",
            f"RandomizedDelaySec={job.delay_seconds - SHORTEST_DELAY}",
            "FixedRandomDelay=true",
            "AccuracySec=1s",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _percent(text: str) -> str:
    """systemd replaces %h and its like."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a unit file: as it is, or in quotes."""
    if re.fullmatch(r"[A-Za-z0-9_@+=:,./-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_percent(escaped)}"'


@dataclass(frozen=True)
class ScheduleView:
    """Who starts the ticks of a home, and with which words."""

    kind: str
    """`cron` or `systemd`."""
    installed: bool
    current: bool
    """Whether what is installed is what would be installed now."""
    home: str
    every: str
    delay_seconds: int
    files: dict[str, str]
    """Text by place: what is installed, or what would be."""
    others: list[str]
    """Lines of the crontab that run a tick in this home and were written by hand."""
    backup: str | None
    """Where a changed crontab was copied to before."""
    changed: bool
    """Whether this very run changed anything."""
    notes: list[str]
