"""Runs crontab, systemctl and their like."""

import os
import subprocess
from collections.abc import Sequence

from botctl.domain.configuration.child_environment import USER_SERVICES, child_environment
from botctl.domain.errors import ConfigError

TIMEOUT_SECONDS = 60


def run_program(command: Sequence[str], *, hint: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run `command` with `text` on stdin. Every byte of its output survives. Raises ConfigError if it can't be run."""
    try:
        done = subprocess.run(
            command,
            input=text.encode(errors="surrogateescape"),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=child_environment(os.environ, *USER_SERVICES) | {"LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ConfigError(f"the {command[0]} command is not installed", hint=hint) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{command[0]} can't be run: {error}", hint=hint) from error
    output, errors = (stream.decode(errors="surrogateescape") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, output, errors)
