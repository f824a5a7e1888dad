"""The house keeps its size: what has grown is split, not only moved on to."""

import ast
from collections import Counter

from tests.bot_runner import PROJECT

FILES = sorted((PROJECT / "botctl").rglob("*.py"))
MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 60
MOST_MODULES = 20


def test_no_function_file_or_folder_is_too_large() -> None:
    modules = Counter(str(path.parent.relative_to(PROJECT)) for path in FILES if path.name != "__init__.py")
    texts = {str(path.relative_to(PROJECT)): path.read_text() for path in FILES}

    assert [name for name, text in texts.items() if text.count("\n") > MOST_LINES] == []
    assert [where for name, text in texts.items() for where in long_functions(name, text)] == []
    assert [folder for folder, count in modules.items() if count > MOST_MODULES] == []


def long_functions(name: str, text: str) -> list[str]:
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [
        f"{name}: {node.name}"
        for node in functions
        if (node.end_lineno or node.lineno) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]


def test_a_long_function_would_be_seen() -> None:
    text = "def short() -> None:\n    pass\n\n\ndef long() -> None:\n" + "    pass\n" * MOST_LINES_OF_A_FUNCTION

    assert long_functions("engine.py", text) == ["engine.py: long"]
