"""Writes tests/messages.txt, every sentence that botctl can say: `python -m tests.messages`.

A test compares. Whoever adds a message reads it there once as a stranger would: plain English, what is wrong, with
which value, and what to do. `{...}` stands for a value.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.bot_runner import PROJECT

FILE = PROJECT / "tests" / "messages.txt"
PACKAGE = PROJECT / "botctl"
SAYING = {
    *("notice", "warning", "error", "info", "debug", "exception", "critical", "log", "confirm", "print", "_end"),
    *("CheckResult", "Problem", "Option", "Argument", "since_option", "Setting", "about", "bad_value", "BadSetting"),
    *("HistoryStep", "SwitchState", "Finding", "GoneMarket", "Hold", "Verdict", "StepView", "Panel", "pairs", "saying"),
}
"""Calls whose texts a person reads, beside those of exceptions."""
NAMES_OF_TEXTS = {"hint", "help", "fix", "why", "detail", "note", "reason", "when_empty", "problem", "message", "told"}
"""Names of arguments and of variables whose texts are read, whatever they are given to."""
MIN_WORDS = 2
"""A text of fewer words is a name, a key or a format."""


def write_messages() -> str:
    """The text of the file: the messages of each module, in the order of the code."""
    parts = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found = list(dict.fromkeys(messages_of(ast.parse(path.read_text(encoding="utf-8")))))
        if found:
            parts += [f"# {path.relative_to(PROJECT)}", *found, ""]
    return "\n".join(parts)


def messages_of(tree: ast.AST) -> Iterator[str]:
    """Every text in what is said, and the help of commands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _says(node):
            yield from texts_in([*node.args, *(keyword.value for keyword in node.keywords)])
        elif _names_a_text(node):
            yield from texts_in([node.value])  # type: ignore[attr-defined]
        elif isinstance(node, ast.FunctionDef) and _is_command(node) and (text := ast.get_docstring(node)):
            yield from (" ".join(part.split()) for part in text.split("\n\n") if "Example" not in part)
        elif isinstance(node, ast.Return | ast.Yield) and isinstance(node.value, ast.Constant | ast.JoinedStr):
            yield from texts_in([node.value])


def texts_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The texts of these expressions, with `{...}` for each value."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield from _if_a_sentence("".join(_piece(part) for part in node.values))
            yield from texts_in(each for part in node.values for each in ast.iter_child_nodes(part))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _if_a_sentence(node.value)
        elif not isinstance(node, ast.FormattedValue):
            yield from texts_in(ast.iter_child_nodes(node))


def _piece(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{...}"


def _if_a_sentence(text: str) -> Iterator[str]:
    line = " ".join(text.split())
    words = [word for word in line.replace("{...}", " ").split() if any(map(str.isalpha, word))]
    if len(words) >= MIN_WORDS and not line.startswith(("<", "%Y")):  # of a page, and the form of a time
        yield line


def _says(call: ast.Call) -> bool:
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
    return name in SAYING or name in _error_classes() or name.endswith(("Error", "_error"))


def _names_a_text(node: ast.AST) -> bool:
    """Whether it is an argument or a variable for a text."""
    if isinstance(node, ast.keyword):
        return node.arg in NAMES_OF_TEXTS
    targets = node.targets if isinstance(node, ast.Assign) else []
    names = [name for target in targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return any(getattr(name, "id", "") in NAMES_OF_TEXTS for name in names)


def _is_command(function: ast.FunctionDef) -> bool:
    """A function of `cli/commands` that takes the context of its command line is one."""
    return any(argument.arg == "as_json" for argument in (*function.args.args, *function.args.kwonlyargs))


@cache
def _error_classes(path: Path = PACKAGE / "domain" / "errors.py") -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))


if __name__ == "__main__":
    FILE.write_text(write_messages(), encoding="utf-8")
