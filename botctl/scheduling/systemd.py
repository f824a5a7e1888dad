"""The user's own units of systemd, through its programs."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.files import write_public
from botctl.scheduling.schedule import RESTRAINTS, SANDBOX

SECONDS = 60


def units_folder() -> Path:
    """Where a user's own units lie."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def read_unit(name: str) -> str | None:
    """The text of a unit file, or None when there is none. Raises ConfigError."""
    try:
        return (units_folder() / name).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{units_folder() / name} can't be read: {error.strerror}", hint="check its mode") from error


def write_units(units: dict[str, str]) -> None:
    """Write unit files, each whole or not at all, and have systemd read them. Raises ConfigError."""
    folder = units_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"can't write to {folder}: {error.strerror}", hint="check its owner and mode") from error
    for name, text in units.items():
        write_public(folder / name, text.encode("utf-8", "surrogateescape"))
    systemctl("daemon-reload")


def remove_units(names: list[str]) -> None:
    """Take unit files away. Raises ConfigError."""
    for name in names:
        try:
            (units_folder() / name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"can't remove {units_folder() / name}: {error.strerror}", hint="do it by hand"
            ) from error
    systemctl("daemon-reload")


def systemctl(*arguments: str) -> str:
    """What `systemctl --user` says. Raises ConfigError when it fails."""
    done = _run(["systemctl", "--user", *arguments])
    if done.returncode != 0:
        why = (done.stderr or done.stdout).strip() or str(done.returncode)
        raise ConfigError(
            f"`systemctl --user {' '.join(arguments)}` failed: {why}", hint="use --cron where systemd serves no users"
        )
    return done.stdout.strip()


def timer_is_active(name: str) -> bool:
    """Whether the timer waits for its next time."""
    with suppress(ConfigError):
        return systemctl("is-active", name) == "active"
    return False


def sandbox_works(program: tuple[str, ...]) -> bool:
    """Whether this system gives users' units a sandbox, and the program starts in it: asked with `--version`, once.

    Where it does not, a unit with one would fail at each start, and nobody would guard what is open.
    """
    properties = [word for name, value in (*RESTRAINTS, *SANDBOX) for word in ("-p", f"{name}={value}")]
    with suppress(ConfigError):
        probe = ["systemd-run", "--user", "--wait", "--collect", "--quiet", *properties, "--", *program, "--version"]
        return _run(probe).returncode == 0
    return False


def lingers() -> bool:
    """Whether this user's units run while the user is not logged in."""
    with suppress(ConfigError):
        return _run(["loginctl", "show-user", str(os.getuid()), "-p", "Linger", "--value"]).stdout.strip() == "yes"
    return False


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ConfigError(f"there is no {command[0]} here", hint="use --cron") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{command[0]} can't be run: {error}", hint="use --cron") from error
