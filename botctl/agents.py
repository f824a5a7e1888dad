"""What your own agents import. These names are stable."""

from botctl.domain.decisions import Stance, Verdict
from botctl.ports import Agent, Briefing

__all__ = ["Agent", "Briefing", "Stance", "Verdict"]
