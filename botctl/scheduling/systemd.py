"""The user's systemd units, and the service and timer that run the ticks of one home."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.files import write_public
from botctl.scheduling.programs import run_program
from botctl.scheduling.schedule import INTERVALS, MIN_DELAY, Job

HARDENING = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)
SANDBOX = ("ProtectSystem=strict", "PrivateTmp=yes")
"""Needs a mount namespace, which not every system allows to users' units."""


def unit_name(home: str) -> str:
    """The name of this home's units without suffix. It is unique for each home."""
    folder = re.sub(r"[^A-Za-z0-9]+", "-", home.rsplit("/", 1)[-1]).strip("-") or "home"
    return f"botctl-{folder[:40]}-{hashlib.sha256(home.encode(errors='surrogateescape')).hexdigest()[:6]}"


def service_unit(job: Job, *, sandbox: bool = True) -> str:
    """The service file, which runs one tick. Raises ConfigError for a home that a unit can't name."""
    if job.home.endswith("\\") or job.home != job.home.strip():
        problem = f"systemd reads no folder that ends in {job.home[-1]!r} as written: {job.home!r}"
        raise ConfigError(problem, hint="rename the folder, or use --cron")
    command = " ".join(_quote(word).replace("$", "$$") for word in job.command)
    environment = " ".join(_quote(f"{name}={value}") for name, value in job.environment)
    lines = [
        "# Written by `botctl schedule install`; `botctl schedule remove` takes it out.",
        "[Unit]",
        f"Description=A tick of botctl in {_escape_percent(job.home)}",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_escape_percent(job.home)}",
        f"Environment={environment}",
        f"ExecStart={command}",
        f"# A tick ends by itself after {job.limit_seconds:g} seconds. This is for one that hangs.",
        f"TimeoutStartSec={(job.timeframe.seconds + job.limit_seconds) / 2:.0f}",
        "UMask=0077",
        *HARDENING,
    ]
    if sandbox:
        folders = " ".join(_quote(f"-{folder}") for folder in job.writable)
        lines += [
            "# It writes to its home and to a cache of compiled code, and to nothing else.",
            *SANDBOX,
            f"ReadWritePaths={folders} -%C/botctl",
            "CacheDirectory=botctl",
            "Environment=NUMBA_CACHE_DIR=%C/botctl",
        ]
    return "\n".join([*lines, ""])


def timer_unit(job: Job) -> str:
    """The timer file, which starts the service of the same name."""
    return f"""\
# Written by `botctl schedule install`; `botctl schedule remove` takes it out.
[Unit]
Description=Ticks of botctl every {job.timeframe} in {_escape_percent(job.home)}

[Timer]
OnCalendar={INTERVALS[job.timeframe][1]}:{MIN_DELAY:02} UTC
# A tick that was due while the machine was off runs at once when it is back.
Persistent=true
# Some seconds late, always the same on this machine: not everybody should ask Kraken at once.
RandomizedDelaySec={job.delay_seconds - MIN_DELAY}
FixedRandomDelay=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def _escape_percent(text: str) -> str:
    """systemd expands %h and the like."""
    return text.replace("%", "%%")


def _quote(word: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_@+=:,./-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escape_percent(escaped)}"'


def units_folder() -> Path:
    """Raises ConfigError for a user without a home folder."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    if not os.path.isabs(folder):
        raise ConfigError("this user has no home folder for units of systemd", hint="set HOME, or use --cron")
    return Path(folder) / "systemd" / "user"


def read_unit(name: str) -> str | None:
    """The text of a unit file, or None when there is none. Raises ConfigError."""
    try:
        folder = units_folder()
    except ConfigError:  # nobody can have written one
        return None
    try:
        return (folder / name).read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{folder / name} can't be read: {error.strerror}", hint="check its mode") from error


def write_units(units: dict[str, str]) -> None:
    """Write unit files, each atomically, and reload systemd. Raises ConfigError."""
    folder = units_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"can't write to {folder}: {error.strerror}", hint="check its owner and permissions"
        ) from error
    for name, text in units.items():
        write_public(folder / name, text.encode("utf-8", "surrogateescape"))
    systemctl("daemon-reload")


def install_timer(units: dict[str, str]) -> None:
    """Write unit files by name, and start the timer. Raises ConfigError."""
    write_units(units)
    timer = next(name for name in units if name.endswith(".timer"))
    systemctl("enable", timer)
    systemctl("restart", timer)  # a timer that runs already must read its new times


def remove_timer(home: str) -> None:
    """Stop the timer of a home and remove its units. Raises ConfigError."""
    name = unit_name(home)
    systemctl("disable", "--now", f"{name}.timer")
    for path in (units_folder() / f"{name}.timer", units_folder() / f"{name}.service"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"can't remove {path}: {error.strerror}", hint="remove it by hand") from error
    systemctl("daemon-reload")


def systemctl(*arguments: str) -> None:
    """Run `systemctl --user`. Raises ConfigError when it fails."""
    done = run_program(("systemctl", "--user", *arguments), hint="use --cron")
    if done.returncode != 0:
        why = (done.stderr or done.stdout).strip() or done.returncode
        hint = "use --cron if this system has no user services"
        raise ConfigError(f"`systemctl --user {' '.join(arguments)}` failed: {why}", hint=hint)


def timer_is_active(name: str) -> bool:
    return _try_program("systemctl", "--user", "is-active", name) == "active"


def sandbox_works(program: tuple[str, ...]) -> bool:
    """Whether the program starts in a sandboxed user unit here, tried with `--version`.

    Where it does not, a sandboxed service would fail at each start and leave open positions unguarded.
    """
    properties = [word for each in (*HARDENING, *SANDBOX) for word in ("-p", each)]
    probe = ["systemd-run", "--user", "--wait", "--collect", "--quiet", *properties, "--", *program, "--version"]
    return _try_program(*probe) is not None


def lingers() -> bool:
    """Whether this user's units run while the user is not logged in."""
    return _try_program("loginctl", "show-user", str(os.getuid()), "-p", "Linger", "--value") == "yes"


def _try_program(*command: str) -> str | None:
    """The output of a program, or None when it fails or is missing."""
    with suppress(ConfigError):
        done = run_program(command, hint="")
        return done.stdout.strip() if done.returncode == 0 else None
    return None
