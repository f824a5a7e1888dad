"""Writes docs/glossary.md from the glossary of `botctl help glossary`: `python -m tests.glossary`."""

from botctl.cli.help.glossary import GLOSSARY
from tests.bot_runner import PROJECT

PAGE = PROJECT / "docs" / "glossary.md"


def write_glossary() -> str:
    """The text of the page."""
    intro = "What the words of botctl mean. `botctl help glossary` shows the same."
    return "\n".join(["# Glossary", "", intro, "", *(f"- **{word}**: {text}" for word, text in GLOSSARY.items()), ""])


if __name__ == "__main__":
    PAGE.write_text(write_glossary(), encoding="utf-8")
