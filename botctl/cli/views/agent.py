"""New agents, and one that was asked."""

import json

from botctl.cli.results import NewAgentView
from botctl.cli.tables import pairs
from botctl.domain.council_rules import shown_stance
from botctl.domain.text import sanitize
from botctl.trading.agent_trial import AgentTrial

SHOWN_CHARACTERS = 1000


def draw_new_agent(view: NewAgentView) -> str:
    return pairs([*[("wrote", file) for file in view.files], *[("next", step) for step in view.next]])


def draw_trial(view: AgentTrial) -> str:
    """The question without most of its candles: `--json` has it as it was asked."""
    question = json.loads(view.question)
    candles = question.pop("candles")
    lines = [("question", ""), *((f"  {name}", json.dumps(value)) for name, value in question.items())]
    lines.append(("  candles", f"{len(candles)}, the newest {json.dumps(candles[-1])}" if candles else "none"))
    lines.append(("answer", "none" if view.answer is None else sanitize(view.answer.strip(), SHOWN_CHARACTERS)))
    if view.verdict is not None:
        lines.append(
            ("verdict", f"{shown_stance(view.verdict.stance, view.verdict.confidence)}: {view.verdict.reason}")
        )
    if view.error:
        lines.append(("error", view.error))
    return pairs([*lines, ("time", f"{view.seconds:.3f} s")])
