"""The names that agents of others import, and where they found them before."""

import importlib
import sys

import pytest

from botctl import agents
from botctl.domain.decisions import Stance, Verdict
from botctl.ports import Agent, Briefing


def test_an_agent_finds_all_it_needs_in_one_place() -> None:
    assert (agents.Agent, agents.Briefing, agents.Stance, agents.Verdict) == (Agent, Briefing, Stance, Verdict)
    assert sorted(agents.__all__) == [
        *("Agent", "Briefing", "Candle", "OpenTrade", "SentimentReading", "Stance", "Verdict", "briefing_of"),
    ]


def test_the_place_of_before_warns_and_has_the_same_classes() -> None:
    sys.modules.pop("botctl.domain.votes", None)

    with pytest.warns(FutureWarning, match=r"botctl\.agents"):
        votes = importlib.import_module("botctl.domain.votes")

    assert (votes.Stance, votes.Verdict) == (Stance, Verdict)
