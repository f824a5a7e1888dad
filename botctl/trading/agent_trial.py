"""`botctl agent test`: one member is asked once, as a tick would ask it, and nothing is decided."""

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from botctl.domain.decisions import Verdict
from botctl.domain.errors import BadValue, BotError, ConfigError
from botctl.domain.serialization import to_json
from botctl.ports import Briefing
from botctl.trading.bot import Bot
from botctl.trading.council.external_command import COMMAND, ExternalCommand
from botctl.trading.council.master_node import ends_the_run, find_agents, installed_names, message_of
from botctl.trading.council.seats import build_program


@dataclass(frozen=True)
class AgentTrial:
    """What one member was asked, what it answered, and what the Council makes of that."""

    name: str
    kind: str
    """`agent` or `program`."""
    symbol: str
    question: str
    """The JSON text that a program gets on stdin. An agent's briefing has the same, with all candles."""
    answer: str | None
    """What the program printed, or the agent returned; None without an answer."""
    verdict: Verdict | None
    seconds: float
    error: str


def try_member(bot: Bot, name: str, symbol: str, variables: Mapping[str, str], home: Path) -> AgentTrial:
    """Ask an installed agent, `command`, or the program of a path or command line about this symbol.

    Raises BadValue for a member that does not exist, ConfigError for one that can't be loaded or started,
    ExchangeUnreachable without candles.
    """
    command = find_command(bot, name)
    program = build_program(bot.settings, command or "", bot.journal, variables, home)
    if command is None:
        find_agents([name])
    briefing = bot.council.master.brief(symbol, bot.snapshots.take_snapshot([symbol]))
    question = program.write_question(briefing)
    ask = (lambda: _ask_agent(bot, name, briefing)) if command is None else (lambda: _ask_program(program, question))
    return _timed(ask, AgentTrial(name, "agent" if command is None else "program", symbol, question, None, None, 0, ""))


def find_command(bot: Bot, name: str) -> str | None:
    """The command line of a program; None for an installed agent.

    A path that was typed belongs to the working directory, if there is such a file. Raises ConfigError for `command`
    without COUNCIL_COMMAND, BadValue for what is neither.
    """
    if name == COMMAND:
        if bot.settings.council_command is None:
            raise ConfigError("COUNCIL_COMMAND is not set", hint="set it, or name an agent or a program")
        return bot.settings.council_command
    if name in installed_names():
        return None
    if Path(name).is_file():
        return shlex.quote(str(Path(name).absolute()))
    if "/" in name or " " in name:
        return name
    known = ", ".join(installed_names())
    raise BadValue(f"no agent is installed as {name!r:.60}, and there is no such file", hint=f"installed are: {known}")


Asked = tuple[str | None, Verdict | None, str]
"""The answer, the verdict and the error."""


def _timed(ask: Callable[[], Asked], trial: AgentTrial) -> AgentTrial:
    started = time.monotonic()
    answer, verdict, error = ask()
    seconds = round(time.monotonic() - started, 3)
    return AgentTrial(trial.name, trial.kind, trial.symbol, trial.question, answer, verdict, seconds, error)


def _ask_program(program: ExternalCommand, question: str) -> Asked:
    answer = None
    try:
        answer = program.ask(question)
        return answer, program.read(answer), ""
    except ConfigError:
        raise
    except BotError as error:
        return answer, None, error.message


def _ask_agent(bot: Bot, name: str, briefing: Briefing) -> Asked:
    try:
        verdict = bot.council.master.ask(name, briefing)
    except BaseException as error:  # whatever a third-party agent raises is its answer
        if isinstance(error, BotError) or ends_the_run(error):
            raise
        kind, why = type(error).__name__, message_of(error)
        return None, None, why if why.startswith(kind) else f"{kind}: {why}"
    return json.dumps(to_json(verdict)), verdict, ""
