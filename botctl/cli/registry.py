"""Every command and where it lives: a run loads the one that it is asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from botctl.cli.help_lines import HELP_LINES

COMMANDS = {
    "tick": "tick",
    "check-positions": "tick",
    "drawdown": "tick",
    "buy": "orders",
    "sell": "orders",
    "liquidate": "orders",
    "pause": "kill_switch",
    "resume": "kill_switch",
    "status": "portfolio",
    "positions": "portfolio",
    "trades": "portfolio",
    "orders": "portfolio",
    "why": "portfolio",
    "explain": "audit",
    "log": "audit",
    "balance": "portfolio",
    "reconcile": "reconciliation",
    "recover": "reconciliation",
    "report": "report",
    "fetch": "fetch",
    "backtest": "backtest",
    "replay": "replay",
    "sweep": "sweep",
    "notify": "notify",
    "schedule": "schedule",
    "config": "config",
    "db": "database",
    "init": "setup",
    "demo": "setup",
    "doctor": "setup",
}
"""The module of `cli/commands` that each is in, in the order of `botctl --help`."""


def _load(name: str) -> Any:
    """One command, made without those that live in the same module."""
    part = typer.Typer(rich_markup_mode=None)
    import_module(f"botctl.cli.commands.{COMMANDS[name]}").register(part)
    part.registered_commands = [info for info in part.registered_commands if info.name == name]
    return typer.main.get_group(part).commands[name]


class Commands(TyperGroup):
    """The commands, each loaded when somebody asks for it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and not self.commands.get(cmd_name):
            self.commands[cmd_name] = _load(cmd_name)
        elif cmd_name not in COMMANDS:  # typer looks among the keys for the name that was meant
            self.commands = {name: self.commands.get(name) for name in COMMANDS}  # type: ignore[misc]
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, HELP_LINES[name]) for name in COMMANDS])
