"""The old address of `Stance` and `Verdict`, now in `botctl.agents`. Removed in the next release."""

from warnings import warn

from botctl.domain.decisions import Stance, Verdict

__all__ = ["Stance", "Verdict"]

warn("import Stance and Verdict from botctl.agents: the next release removes botctl.domain.votes", FutureWarning, 2)
