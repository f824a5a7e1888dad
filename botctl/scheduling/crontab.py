"""The user's crontab, through the program of that name."""

import os
import re
import subprocess

from botctl.domain.errors import ConfigError

SECONDS = 30
NONE = re.compile(r"no crontab for|no such file or directory", re.IGNORECASE)
"""What the crontab programs say when somebody has none. Any other failure is no empty crontab."""
WITHOUT = "botctl schedule install --systemd, or have `botctl tick` run once per TIMEFRAME some other way"


def read_crontab() -> str | None:
    """The crontab as it is, or None when this user has none. Raises ConfigError when it can't be known."""
    listed = _run(["crontab", "-l"])
    if listed.returncode == 0:
        return _text(listed.stdout)
    complaint = _text(listed.stderr).strip()
    if not listed.stdout and NONE.search(complaint):
        return None
    raise ConfigError(f"`crontab -l` failed: {complaint or listed.returncode}", hint="see whether you may use cron")


def write_crontab(text: str) -> None:
    """Put this crontab in the place of the old one, and see that it is there. Raises ConfigError."""
    written = _run(["crontab", "-"], text)
    if written.returncode != 0:
        complaint = _text(written.stderr).strip() or str(written.returncode)
        raise ConfigError(f"`crontab -` refused the new crontab: {complaint}", hint="the old one is still there")
    if (read_crontab() or "") != text:
        raise ConfigError("the crontab is not what was written", hint="look at it with `crontab -l`")


def _run(command: list[str], text: str | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            input=None if text is None else text.encode(errors="surrogateescape"),
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ConfigError("there is no crontab command here", hint=WITHOUT) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"crontab can't be run: {error}", hint=WITHOUT) from error


def _text(said: bytes) -> str:
    """Every byte survives: the lines of others may be in any encoding."""
    return said.decode(errors="surrogateescape")
