"""Words of strangers: what may be shown on a terminal and kept in a database."""

MOST_WORDS = 200
"""Characters of a stranger's text that anybody reads."""


def printable(text: str, most: int = MOST_WORDS) -> str:
    """`text` on one line and not too long, with escapes for what a terminal obeys or a database refuses to keep.

    That is control characters, and halves of characters: JSON may hold them, and so may a command line.
    """
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[: most + 1])
    line = "".join(shown)
    return line if len(line) <= most else f"{line[: most - 3]}..."
