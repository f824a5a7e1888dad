"""Every command and where it is defined: a run imports only the module of its own command."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from botctl.cli.help_lines import HELP_LINES

COMMANDS = {
    "tick": "tick:tick",
    "check-positions": "tick:check_positions",
    "drawdown": "tick:drawdown",
    "buy": "orders:buy",
    "sell": "orders:sell",
    "liquidate": "orders:liquidate",
    "forget": "orders:forget",
    "resting-stops": "orders:resting_stops",
    "pause": "kill_switch:pause",
    "resume": "kill_switch:resume",
    "status": "portfolio:status",
    "positions": "portfolio:positions",
    "trades": "portfolio:trades",
    "orders": "audit:orders",
    "why": "audit:why",
    "explain": "audit:explain",
    "log": "audit:show_log",
    "balance": "portfolio:balance",
    "reconcile": "reconciliation:reconcile",
    "recover": "reconciliation:recover",
    "report": "report:report",
    "serve": "serve:serve",
    "fetch": "study.fetch:fetch",
    "backtest": "study.backtest:backtest",
    "replay": "study.replay:replay",
    "sweep": "study.sweep:sweep",
    "notify": "notify:notify",
    "schedule": "schedule:app",
    "agent": "study.agent:app",
    "config": "config:app",
    "db": "database:app",
    "init": "setup:init",
    "demo": "setup:demo",
    "doctor": "doctor:doctor",
}
"""Module of `cli/commands` and the function or Typer app in it, in the order of `botctl --help`."""

WORKING = {
    "tick", "check-positions", "drawdown", "buy", "sell", "liquidate", "forget", "resting-stops", "pause", "resume",
    "init", "fetch", "notify", "agent new", "schedule install", "schedule remove", "db migrate", "db backup", "db copy",
}  # fmt: skip
"""Commands that do more than find out what they print."""


def does_work(arguments: Sequence[str]) -> bool:
    """Whether a command line is one of a command that changes something."""
    words = [word for word in arguments if not word.startswith("-")]
    at = next((at for at, word in enumerate(words) if word in COMMANDS), len(words))
    only_asks = not {"--help", "-h", "--version", "--check"}.isdisjoint(arguments)
    return not only_asks and not WORKING.isdisjoint((*words[at : at + 1], " ".join(words[at : at + 2])))


def _load(name: str) -> Any:
    module, attribute = COMMANDS[name].split(":")
    command = getattr(import_module(f"botctl.cli.commands.{module}"), attribute)
    parent = typer.Typer(rich_markup_mode=None)
    if isinstance(command, typer.Typer):
        parent.add_typer(command, name=name)
    else:
        parent.command(name)(command)
    return typer.main.get_group(parent).commands[name]


class Commands(TyperGroup):
    """The commands of `botctl`, each loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and not self.commands.get(cmd_name):
            self.commands[cmd_name] = _load(cmd_name)
        elif cmd_name not in COMMANDS:  # typer suggests similar names from these keys
            self.commands = {name: self.commands.get(name) for name in COMMANDS}  # type: ignore[misc]
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, HELP_LINES[name]) for name in COMMANDS])
