"""The answer of an external program as a verdict: what language models write is read, and nothing is guessed."""

import json
import re
from typing import Any

from botctl.domain.decisions import BUYERS, SELLERS, Action, Stance, Verdict
from botctl.domain.serialization import parse_json
from botctl.domain.text import sanitize

STANCES = {Action.BUY: Stance.BULLISH, Action.SELL: Stance.BEARISH, Action.HOLD: Stance.NEUTRAL}
FENCED = re.compile(r"```[A-Za-z0-9_-]*\s(.*?)```", re.DOTALL)
"""A fenced code block, as language models write it around their JSON."""
SHOWN_CHARACTERS = 200
"""Of a bad answer, in its error."""


def read_answer(text: str, agent: str) -> Verdict:
    """The verdict in one JSON object with `reason`, `decision` or `stance`, and perhaps `confidence`. Raises ValueError
    with the beginning of any other answer."""
    try:
        return _read_verdict(_find_object(text), agent)
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        shown = sanitize(text.strip(), SHOWN_CHARACTERS)
        raise ValueError(f"{sanitize(problem)}; it answered {f'with: {shown}' if shown else 'nothing'}") from error


def _find_object(text: str) -> dict[str, Any]:
    """The answer, or what its only code block holds. Raises ValueError, also for an object that names a key twice."""
    blocks = FENCED.findall(text)
    found: dict[str, Any] | None = None
    for candidate in (text, *blocks[:1]) if len(blocks) == 1 else (text,):
        found = found or _parse(candidate)
    if found is None:
        raise ValueError("its answer is not one JSON object")
    return found


def _parse(text: str) -> dict[str, Any] | None:
    """The object, None for what is no JSON. Raises ValueError."""
    try:
        answer = parse_json(text)
    except json.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _read_verdict(answer: dict[str, Any], agent: str) -> Verdict:
    decision = _one_of(Action, answer, "decision")
    stance = _one_of(Stance, answer, "stance")
    if decision is None and stance is None:
        raise ValueError("its answer has neither a decision BUY, SELL or HOLD nor a stance")
    if decision is not None and stance is not None and _side(stance) != _side(STANCES[decision]):
        raise ValueError(f"its decision {decision} contradicts its stance {stance}")
    confidence = answer.get("confidence", 1.0)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise ValueError(f"its confidence is not a number from 0 to 1: {confidence!r:.40}")
    if not isinstance(answer.get("reason"), str):
        raise ValueError("its answer has no reason")
    said = stance or STANCES[decision or Action.HOLD]
    return Verdict(agent, said, sanitize(answer["reason"], 500), float(confidence))


def _one_of[Choice: (Action, Stance)](choices: type[Choice], answer: dict[str, Any], name: str) -> Choice | None:
    """The value of this name in any case, None without one. Raises ValueError."""
    value = answer.get(name)
    if value is None:
        return None
    try:
        return choices(value.strip().upper())
    except (AttributeError, ValueError):
        raise ValueError(f"its {name} must be one of {', '.join(choices)}, not {value!r:.40}") from None


def _side(stance: Stance) -> int:
    return (stance in BUYERS) - (stance in SELLERS)
