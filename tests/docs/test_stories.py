"""docs/stories.md: each criterion has a place and a test, and they exist."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.bot_runner import PROJECT

PAGE = (PROJECT / "docs" / "stories.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?!criterion|---)(?P<criterion>.+) \| (?P<places>`[^|]+`) \| (?P<tests>`[^|]+`) \|$", re.MULTILINE
)
NAMED = re.compile(r"`([\w./]+\.py): (\w+)`")


@cache
def defined(file: Path) -> frozenset[str]:
    """The functions, methods and classes of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds))


def test_each_criterion_of_the_four_stories_has_its_row() -> None:
    stories = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]

    assert [(story[:3], len(ROW.findall(story))) for story in stories] == [
        ("3.1", 6), ("3.2", 4), ("3.3", 5), ("3.4", 4)
    ]  # fmt: skip
    assert len(ROW.findall(PAGE)) == len(re.findall(r"^\| ", PAGE, re.MULTILINE)) - 2 * len(stories)


def test_every_place_and_test_exists() -> None:
    missing = []
    for row in ROW.finditer(PAGE):
        for column, folder in (("places", PROJECT / "botctl"), ("tests", PROJECT)):
            named = NAMED.findall(row[column])
            assert len(named) == row[column].count("`") // 2 > 0, row[column]
            missing += [f"{file}: {name}" for file, name in named if name not in defined(folder / file)]
        assert all(name.startswith("test_") for _, name in NAMED.findall(row["tests"]))

    assert missing == []
