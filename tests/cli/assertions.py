"""Assertions about errors of the command line, and the content of a folder."""

import os
from pathlib import Path
from typing import Any

from tests.bot_runner import Run
from tests.fields import ERROR


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in sorted(folder.rglob("*")) if not path.is_dir()}


def check_error(run: Run, exit_code: int, *words: str) -> None:
    """One line on stderr with these words in it, nothing on stdout, and this exit code."""
    assert run.exit_code == exit_code, run.stdout + run.stderr
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith("botctl: ")
    for word in words:
        assert word in run.stderr


def check_json_error(run: Run, exit_code: int, category: str) -> dict[str, Any]:
    """One JSON object with the error, and this exit code."""
    assert run.exit_code == exit_code, run.stdout + run.stderr
    answer: dict[str, Any] = run.json()
    assert set(answer) == ERROR
    assert answer["category"] == category
    assert answer["error"]
    assert "Traceback" not in run.stderr
    return answer
