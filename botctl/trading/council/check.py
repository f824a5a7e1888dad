"""Checks of the Council, for `botctl config check` and `botctl doctor`: who sits, and what it can decide."""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from botctl.domain.configuration.settings import Settings
from botctl.domain.council_rules import CouncilRule, never_decides
from botctl.domain.decisions import Stance
from botctl.domain.errors import ConfigError
from botctl.domain.health.checks import CheckResult
from botctl.ports import Agent
from botctl.trading.council.external_command import COMMAND, find_program
from botctl.trading.council.master_node import check_names, find_agents, load_agent
from botctl.trading.council.seats import decides_alone

ANY = tuple(Stance)
"""What a program may say, and an agent that does not tell its stances."""


def check_council(settings: Settings, home: Path) -> Iterator[CheckResult]:
    """Whether the agents of COUNCIL and the program of COUNCIL_COMMAND exist, and can decide something together.

    Loads the agents, and starts no program.
    """
    names = (COMMAND,) if decides_alone(settings) else settings.council
    try:
        check_names(names, with_command=settings.council_command is not None)
        stances = [_stances_of(name) for name in names]
        if COMMAND in names:
            _check_program(settings.council_command or "", home)
    except ConfigError as error:
        yield CheckResult("council", "fail", error.message, error.hint)
        return
    warnings = [] if decides_alone(settings) else list(_name_impossible(settings, stances))
    yield from warnings
    if not warnings:
        seated = f"COUNCIL_COMMAND runs {settings.council_command}" if decides_alone(settings) else ", ".join(names)
        by_rule = "" if settings.council_rule is CouncilRule.STORY else f", by the rule {settings.council_rule}"
        yield CheckResult("council", "ok", seated + ("" if decides_alone(settings) else by_rule))


def _name_impossible(settings: Settings, stances: list[Collection[Stance]]) -> Iterator[CheckResult]:
    """A Council that can never say BUY, or never SELL."""
    impossible = never_decides(settings.council_rule, stances)
    if not impossible:
        return
    actions = " or ".join(impossible)
    lacking = [stance for stances in impossible.values() for stance in stances]
    why = f"nobody gives {' or '.join(lacking)}" if lacking else "its members can never agree on it"
    detail = f"COUNCIL={','.join(settings.council)} can never say {actions} by the rule {settings.council_rule}: {why}"
    yield CheckResult("council", "warn", detail, "name other agents in COUNCIL, or set another COUNCIL_RULE")


def _stances_of(name: str) -> Collection[Stance]:
    """What a member may say, by the attribute `stances` of its class. Raises ConfigError."""
    if name == COMMAND:
        return ANY
    agent: Agent = load_agent(name, find_agents([name])[name])
    told = getattr(agent, "stances", ANY)
    try:
        return [Stance(stance) for stance in told]
    except (TypeError, ValueError) as error:
        message = f"agent {name} has an unknown stance in `stances`: {error}"
        raise ConfigError(message, hint=f"name some of {', '.join(Stance)}") from error


def _check_program(command: str, home: Path) -> None:
    program = find_program(command, home)[0]
    if shutil.which(program) is None:
        raise ConfigError(
            f"COUNCIL_COMMAND: no such program: {program!r}", hint="correct the setting, or make the file executable"
        )
