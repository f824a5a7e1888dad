"""Writes `botctl/cli/help/help_lines.py` from what each command's docstring says: `python -m tests.cli.help_lines`."""

from pathlib import Path

import typer

from botctl.cli.app import app
from botctl.cli.help import help_lines
from botctl.cli.registry import COMMANDS

FILE = Path(help_lines.__file__)


def write_help_lines() -> str:
    """The text of the file, of all commands as they are now."""
    group = typer.main.get_group(app)
    lines = [
        f'    "{name}": "{command.get_short_help_str(80)}",'
        for name in COMMANDS
        if (command := group.get_command(None, name))  # type: ignore[arg-type]
    ]
    purpose = "The line of `botctl --help` for each command, so that it need not load them all."
    origin = "Generated from their docstrings by `python -m tests.cli.help_lines`; a test compares."
    return "\n".join([f'"""{purpose}', "", origin, '"""', "", "HELP_LINES = {", *lines, "}", ""])


if __name__ == "__main__":
    FILE.write_text(write_help_lines())
