"""stdout and stderr that are closed, full or gone: the work is done, and no traceback is anybody's answer."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.quick import parametrize

BOTCTL = shlex.join([sys.executable, "-m", "botctl"])

TAPE = shlex.quote(str(PROJECT / "data" / "tape" / "BTC-USD.csv"))


def in_a_shell(home: Path, line: str) -> tuple[int, str]:
    """The exit code and stderr of a line with BOTCTL in it."""
    line = f"export PYTHONPATH={shlex.quote(str(PROJECT))}; {line.replace('BOTCTL', BOTCTL)}"
    done = subprocess.run(["bash", "-c", line], cwd=home, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@parametrize("command", ["status --json", "status", "tick --json", "positions", "--help"], quick=1)
def test_a_closed_stdout_is_no_reason_to_fail(bot: BotRunner, command: str) -> None:
    assert in_a_shell(bot.home, f"BOTCTL {command} >&-") == (0, "")


DONE = ": the work itself is done and recorded"


@parametrize(
    ("command", "code", "done"),
    [
        ("pause", 1, DONE),
        ("buy FOO/BAR 100 --json", 2, ""),  # its error was for stdout: without this line nobody would know
        ("status --json", 1, ""),
        ("tick --json", 1, DONE),
        ("status", 1, ""),
        ("tick --help", 1, ""),
        ("--version", 1, ""),
    ],
    quick=2,
)
def test_a_full_disk_behind_stdout_is_said_and_that_the_work_is_done_only_where_it_is(
    bot: BotRunner, command: str, code: int, done: str
) -> None:
    run = in_a_shell(bot.home, f"BOTCTL {command} >/dev/full")

    assert run == (code, f"botctl: can't write the output: No space left on device{done}\n")


def test_a_closed_stdin_is_no_terminal_to_ask_on(bot: BotRunner) -> None:
    bot.run("buy", "BTC/USD", "100")
    code, errors = in_a_shell(bot.home, "BOTCTL liquidate <&-")

    assert (code, "add --yes" in errors, "bug" in errors) == (2, True, False)


@parametrize(("library", "command"), [("peewee", "tick"), ("numpy", f"backtest {TAPE}")], quick=1)
def test_a_broken_installation_is_one_line(bot: BotRunner, tmp_path: Path, library: str, command: str) -> None:
    """One library is loaded with botctl, the other by the command."""
    broken = tmp_path / "broken"
    broken.mkdir()
    broken.joinpath(f"{library}.py").write_text("import nowhere_to_be_found\n")

    run = in_a_shell(bot.home, f"PYTHONPATH={shlex.quote(f'{broken}:{PROJECT}')} BOTCTL {command}")

    why = "No module named 'nowhere_to_be_found'"
    assert run == (78, f"botctl: the installation of botctl is broken: {why}: install it again\n")


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
