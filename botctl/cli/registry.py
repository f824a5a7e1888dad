"""Every command and where it is defined: a run imports only the module of its own command."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer

from botctl.cli.help.help_lines import HELP_LINES
from botctl.cli.help.help_pages import Command, Group
from botctl.domain.errors import BadValue

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
    "help": "help:show_help",
}
"""Module of `cli/commands` and the function or Typer app in it."""

GROUPS = {
    "Trade": ("buy", "sell", "tick", "check-positions"),
    "Watch": ("status", "positions", "trades", "orders", "why", "explain", "log", "balance", "report", "serve"),
    "Safety": ("pause", "resume", "liquidate", "drawdown", "resting-stops", "forget"),
    "Study": ("demo", "backtest", "replay", "sweep", "fetch", "agent"),
    "Operate": ("schedule", "notify", "reconcile", "recover", "db"),
    "Set up": ("init", "config", "doctor", "help"),
}
"""The commands in the order of `botctl --help`, which lists those of no group last."""

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
        for each in command.registered_commands:
            each.cls = Command
        parent.add_typer(command, name=name, cls=Group)
    else:
        parent.command(name, cls=Command)(command)
    return typer.main.get_group(parent).commands[name]


class Commands(Group):
    """The commands of `botctl`, each loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and not self.commands.get(cmd_name):
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def unknown_command(self, ctx: Any, name: str) -> BadValue:
        similar = get_close_matches(name, COMMANDS)
        meant = f": did you mean {' or '.join(similar)}?" if similar else ""
        return BadValue(f"botctl has no command {name!r:.60}{meant}", hint="see `botctl --help`")

    def format_list(self, ctx: Any, formatter: Any) -> None:
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in COMMANDS if name not in grouped)
        for title, names in (*GROUPS.items(), *((("More", others),) if others else ())):
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{max(map(len, COMMANDS))}}", HELP_LINES[name]) for name in names])
