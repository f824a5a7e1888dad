"""Where agents found `Stance` and `Verdict` before `botctl.agents`. Goes with the next release."""

from warnings import warn

from botctl.domain.decisions import Stance, Verdict

__all__ = ["Stance", "Verdict"]

warn("import Stance and Verdict from botctl.agents: botctl.domain.votes goes with the next release", FutureWarning, 2)
