"""The answers of programs: what language models write around their JSON is read, anything doubtful is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.decisions import Stance, Verdict
from botctl.trading.council.answers import read_answer

BUY = '{"decision": "BUY", "reason": "up"}'
BULLISH = Verdict("command", Stance.BULLISH, "up")


@pytest.mark.parametrize(
    "text",
    [
        BUY,
        f"\n {BUY}\n",
        '{"decision": " buy ", "reason": "up", "thoughts": ["deep"]}',
        '{"stance": "bullish", "reason": "up"}',
        '{"decision": "BUY", "stance": "BULLISH", "reason": "up", "confidence": 1}',
        f"```json\n{BUY}\n```",
        f"```\n{BUY}```",
        f"I have looked at the candles.\n\n```JSON\n{BUY}\n```\nGood luck!",
    ],
)
def test_an_answer_is_read(text: str) -> None:
    assert read_answer(text, "command") == BULLISH


def test_three_backquotes_in_a_reason_are_no_code_block() -> None:
    reason = "``` x ```"

    assert read_answer(json.dumps({"decision": "BUY", "reason": reason}), "command").reason == reason


@pytest.mark.parametrize(
    ("decision", "stance"), [("BUY", Stance.BULLISH), ("sell", Stance.BEARISH), ("Hold", Stance.NEUTRAL)]
)
def test_a_decision_is_a_stance(decision: str, stance: Stance) -> None:
    assert read_answer(json.dumps({"decision": decision, "reason": ""}), "command").stance is stance


@pytest.mark.parametrize("stance", list(Stance))
def test_a_program_may_take_any_stance_with_some_confidence(stance: Stance) -> None:
    verdict = read_answer(json.dumps({"stance": stance.lower(), "reason": "so", "confidence": 0.25}), "command")

    assert verdict == Verdict("command", stance, "so", 0.25)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it answered nothing"),
        ("BUY", "not one JSON object; it answered with: BUY"),
        (f"```\n{BUY}\n```\n```\n{BUY}\n```", "not one JSON object"),
        (f"{BUY} {BUY}", "not one JSON object"),
        (f"[{BUY}]", "not one JSON object"),
        ('{"decision": "BUY", "decision": "SELL", "reason": ""}', "twice"),
        ('{"decision": "MAYBE", "reason": ""}', "its decision must be one of BUY, SELL, HOLD, not 'MAYBE'"),
        ('{"decision": 1, "reason": ""}', "its decision must be one of"),
        ('{"stance": "RICH", "reason": ""}', "its stance must be one of BULLISH"),
        ('{"decision": "BUY", "stance": "BEARISH", "reason": ""}', "contradicts"),
        ('{"decision": "HOLD", "stance": "FEAR", "reason": ""}', "contradicts"),
        ('{"reason": "none"}', "neither a decision"),
        ('{"decision": "BUY"}', "has no reason"),
        ('{"decision": "BUY", "reason": "", "confidence": 1.1}', "not a number from 0 to 1: 1.1"),
        ('{"decision": "BUY", "reason": "", "confidence": "high"}', "not a number from 0 to 1: 'high'"),
        ('{"decision": "BUY", "reason": "", "confidence": true}', "not a number from 0 to 1"),
        ('{"decision": "BUY", "reason": "", "confidence": NaN}', "not a number from 0 to 1"),
    ],
)
def test_any_other_answer_is_refused_with_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="answered") as error:
        read_answer(text, "command")

    assert problem in str(error.value)


@given(st.text() | st.text().map(lambda text: f"```json\n{text}\n```"))
def test_a_bad_answer_is_shown_with_its_first_200_characters_on_one_safe_line(text: str) -> None:
    try:
        read_answer(text + " ]", "command")
    except ValueError as error:
        shown = str(error).partition("it answered with: ")[2]
        assert shown.isprintable()
        assert 0 < len(shown) <= 200
    else:
        pytest.fail("read")
