"""The worked examples of a page, applied to a copy of the repository.

The line before a code block says where it goes: "New file `F`:", "At the end of `F`:", "In `F`, above `LINE`:" or
"In `F`, below `LINE`:". The commands of a `sh` block are run in the copy.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests import postgres
from tests.bot_runner import PROJECT

BLOCK = re.compile(r"(?P<place>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(
    r"New file `(?P<new>[^`]+)`:$"
    r"|[Aa]t the end of `(?P<end>[^`]+)`:$"
    r"|In `(?P<file>[^`]+)`, (?P<where>above|below) `(?P<line>[^`]+)`:$"
)


class Block(NamedTuple):
    """A code block, and the line before it, which says where it goes."""

    place: str
    kind: str
    text: str


def blocks(page: str, title: str) -> list[Block]:
    """The code blocks of the section with this title."""
    [section] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return [Block(found["place"], found["kind"], found["text"]) for found in BLOCK.finditer(section)]


def copy_repository(to: Path) -> Path:
    """The package and its tests, to be changed. The compiled modules come along, which saves seconds."""
    for folder in ("botctl", "tests", "data"):
        shutil.copytree(PROJECT / folder, to / folder)
    shutil.copy(PROJECT / "pyproject.toml", to)
    return to


def apply(block: Block, root: Path) -> Path:
    """Put the block where the page says; the file that has changed."""
    place = PLACE.search(block.place)
    assert place, f"the page does not say where this goes: {block.place}"
    path = root / (place["new"] or place["end"] or place["file"])
    if place["new"]:
        assert not path.exists(), path
        path.write_text(block.text)
    elif place["end"]:
        path.write_text(f"{path.read_text()}\n\n{block.text}")
    else:
        path.write_text(insert(path.read_text(), block.text, place["where"], place["line"]))
    return path


def insert(text: str, added: str, where: str, line: str) -> str:
    """The text with lines above or below the one that is this one, but for its indentation. A function is set apart."""
    lines = text.splitlines(keepends=True)
    [number] = [number for number, each in enumerate(lines) if each.strip() == line.strip()]
    number += where == "below"
    gap = "\n" if added.lstrip().startswith("def ") else ""
    return "".join([*lines[:number], added + gap, *lines[number:]])


def run_commands(block: Block, root: Path) -> Iterator[str]:
    """What each command of a `sh` block prints. Raises where one fails."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", postgres.FOLDER))
    }
    environment |= {"PYTHONPATH": str(root), "PYTEST_ADDOPTS": "-n 0 -p no:cacheprovider"}
    for line in block.text.splitlines():
        python, *arguments = line.split()
        assert python == "python", line
        run = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, cwd=root, env=environment, timeout=120
        )
        assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
        yield run.stdout
