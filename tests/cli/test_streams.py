"""stdout and stderr that are closed, full or gone: the work is done, and no traceback is anybody's answer."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.quick import parametrize

BOTCTL = shlex.join([sys.executable, "-m", "botctl"])


def in_a_shell(home: Path, line: str) -> tuple[int, str]:
    """The exit code and stderr of a line with BOTCTL in it."""
    line = f"export PYTHONPATH={shlex.quote(str(PROJECT))}; {line.replace('BOTCTL', BOTCTL)}"
    done = subprocess.run(["bash", "-c", line], cwd=home, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@parametrize("command", ["status --json", "status", "tick --json", "positions", "--help"], quick=2)
def test_a_closed_stdout_is_no_reason_to_fail(bot: BotRunner, command: str) -> None:
    assert in_a_shell(bot.home, f"BOTCTL {command} >&-") == (0, "")


@parametrize("command", ["status --json", "tick --json", "status", "--version"], quick=2)
def test_a_full_disk_behind_stdout_is_said_after_the_work(bot: BotRunner, command: str) -> None:
    code, errors = in_a_shell(bot.home, f"BOTCTL {command} >/dev/full")

    assert code == 1
    assert errors == ("botctl: can't write the output: No space left on device: the work itself is done and recorded\n")


@parametrize("streams", [">/dev/full 2>/dev/full", ">&- 2>&-", "2>/dev/full | true"], quick=1)
def test_without_any_stream_a_pause_is_kept(bot: BotRunner, streams: str) -> None:
    in_a_shell(bot.home, f"BOTCTL pause {streams}")

    assert bot.json("status")["system_status"] == "PAUSED"


@pytest.mark.sqlite("a database on a server has no file descriptor")
def test_a_database_never_gets_the_number_of_a_closed_stream(bot: BotRunner) -> None:
    """What a plug-in prints would otherwise be written into the database."""
    script = "import os, sys; from botctl.cli.streams import make_streams_tolerant as make; make(); "
    script += "file = open('x', 'w'); sys.exit(file.fileno())"

    code, _ = in_a_shell(bot.home, f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- >&- 2>&-")

    assert code > 2
