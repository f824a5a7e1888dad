"""Words of strangers: whatever they hold, one line that a terminal and a database can take."""

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.text import printable, sanitize

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(text=ANY_TEXT, most=st.integers(10, 300))
def test_any_text_becomes_one_short_line_that_can_be_kept(text: str, most: int) -> None:
    shown = sanitize(text, most)

    assert shown.isprintable()
    assert len(shown) <= most
    assert shown.encode().decode() == shown


@given(text=ANY_TEXT.filter(str.isprintable), most=st.integers(10, 300))
def test_plain_words_stay_as_they_are(text: str, most: int) -> None:
    assert sanitize(text, most) == text or len(text) > most


def test_what_a_terminal_obeys_is_shown_instead() -> None:
    assert sanitize("a\x1b[2Jb\nc\ud800") == "a\\x1b[2Jb\\nc\\ud800"


def test_lines_stay_and_each_is_shown_whole() -> None:
    assert printable("a\x1b[2J\nb ─ é\u202e\n") == "a\\x1b[2J\nb ─ é\\u202e\n"
    assert printable("\x00" * 500) == "\\x00" * 500
