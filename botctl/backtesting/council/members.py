"""Who sits in the Council of a backtest."""

from botctl.domain.configuration.settings import Settings
from botctl.domain.council_rules import CouncilRule

COMPILED = ("technical", "sentiment")
"""The agents that are compiled."""
COMMAND = "command"
"""The program of COUNCIL_COMMAND among the members."""


def is_compiled(settings: Settings) -> bool:
    """Whether the Council consists of compiled agents alone."""
    names = settings.council
    return settings.council_command is None and {*COMPILED} >= {*names} and len({*names}) == len(names)


def decides_alone(settings: Settings) -> bool:
    """Whether a program decides instead of agents: COUNCIL does not name it."""
    return settings.council_command is not None and COMMAND not in settings.council


def label_of(settings: Settings) -> str:
    """Who sits, and by which rule, if it is not the story's."""
    if decides_alone(settings):
        return f"the program {settings.council_command}"
    names = ", ".join(settings.council)
    return names if settings.council_rule is CouncilRule.STORY else f"{names} ({settings.council_rule})"
