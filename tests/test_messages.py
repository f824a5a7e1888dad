"""Every message of the code was read."""

import ast
import re

from tests.messages import FILE, messages_of, write_messages


def test_every_message_is_on_the_list_that_was_read() -> None:
    listed, now = FILE.read_text(encoding="utf-8").splitlines(), write_messages().splitlines()

    known = {*listed}
    new = [line for line in now if line not in known]
    assert new == [], "read them as a stranger would, then run `python -m tests.messages`"
    assert listed == now, "run `python -m tests.messages`"


def test_the_list_finds_the_texts_of_errors_hints_and_notes() -> None:
    code = """
raise BadValue(f"AMOUNT {text} is too large", hint="give a smaller one")
problem = "there is no market" if gone else f"there is {one}"
notice("two words", *more)
values.append("not a message")
"""

    assert sorted({*messages_of(ast.parse(code))}) == [
        "AMOUNT {...} is too large",
        "give a smaller one",
        "there is no market",
        "there is {...}",
        "two words",
    ]


def test_no_message_is_spoken_as_no_one_speaks() -> None:
    """Words that were on the list once, and that native speakers stumble over."""
    told = FILE.read_text(encoding="utf-8")

    stumbles = r"(?<!there )is no (?:file|folder|database|number)|owner and mode| mend |see to "
    assert re.findall(stumbles, told) == []
