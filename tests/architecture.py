"""Writes the generated parts of docs/ARCHITECTURE.md: `python -m tests.architecture`.

The tree of the modules comes from the first sentence of each, the table of order states from `NEXT`.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from botctl.domain.orders import NEXT, OrderState
from tests.bot_runner import PROJECT

PAGE = PROJECT / "docs" / "ARCHITECTURE.md"
PACKAGE = PROJECT / "botctl"


def write_page(text: str) -> str:
    """The page with its generated parts as they are now."""
    for name, lines in (("tree", tree()), ("order states", order_states())):
        text, found = re.subn(
            rf"(<!-- {name}: [^\n]*-->\n).*?(\n<!-- end of {name} -->)",
            lambda marks, lines=lines: marks[1] + "\n".join(lines) + marks[2],  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
        assert found == 1, f"the page has no part for the {name}"
    return text


def tree() -> Iterator[str]:
    """Each package, folded, and each module, lowest layer first."""
    for name in reversed(layers()):
        if (PACKAGE / f"{name}.py").exists():
            yield f"- `{name}.py`: {purpose(PACKAGE / f'{name}.py')}"
        else:
            yield from folded(PACKAGE / name)


def layers() -> list[str]:
    """The names of the contract in pyproject.toml, from the top down."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    return [name for layer in contract["layers"] for name in re.findall(r"\w+", layer)]


def folded(package: Path) -> Iterator[str]:
    yield f"- <details><summary><code>{package.name}/</code>: {purpose(package / '__init__.py')}</summary>"
    yield ""
    for path in sorted(package.rglob("*.py")):
        if path.name == "__init__.py":
            continue
        yield f"  - `{path.relative_to(package)}`: {purpose(path)}"
    yield ""
    yield "  </details>"


def purpose(path: Path) -> str:
    """The first sentence of a module."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    sentence = re.match(r".*?(?<!\be\.g)\.(?= |$)", text)
    assert sentence, f"{path} does not begin with a sentence on its purpose"
    return sentence[0].replace("<", "&lt;")


def order_states() -> Iterator[str]:
    """The table of order states."""
    yield "| state | means | may become |"
    yield "| --- | --- | --- |"
    for state in OrderState:
        following = ", ".join(f"`{name}`" for name in OrderState if name in NEXT[state])
        yield f"| `{state}` | {MEANINGS[state]} | {following or 'final'} |"


MEANINGS = {
    OrderState.INTENDED: "recorded, not sent",
    OrderState.SUBMITTED: "about to be sent, perhaps sent",
    OrderState.UNKNOWN: "sent, and the answer was lost or unclear",
    OrderState.ACCEPTED: "the exchange gave it an id",
    OrderState.RESTING: "a stop waits at the exchange for its trigger",
    OrderState.FILLED: "filled completely",
    OrderState.CANCELED: "ended by the exchange; what was filled before counts",
    OrderState.REJECTED: "refused by the exchange; nothing was placed",
    OrderState.ABSENT: "proved never to have been sent, or never to have reached the exchange",
}


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
