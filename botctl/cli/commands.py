"""Every command, where it lives, and what it does in a line: a run loads the one that it is asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "tick": ("run", "One visit: settle, guard, then let the Council trade."),
    "check-positions": ("run", "Check every open position against its stop, now."),
    "drawdown": ("run", "Value the account; too far down, sell everything."),
    "buy": ("trade", "Buy SYMBOL at market for AMOUNT, with an ATR stop."),
    "sell": ("trade", "Sell the open trade of SYMBOL's asset, or AMOUNT of it."),
    "liquidate": ("trade", "The eject button: sell all trades, and disable buys."),
    "pause": ("switch", "Stop trading: no Council, no entries."),
    "resume": ("switch", "Trade again."),
    "status": ("look", "All of it at one glance, without network."),
    "positions": ("look", "Open trades with their stops."),
    "trades": ("look", "Every trade there was, its profit, and why it ended."),
    "orders": ("look", "The order journal."),
    "why": ("look", "What the Council decided on SYMBOL, and why."),
    "explain": ("story", "The whole life of one trade, in order."),
    "log": ("story", "The audit trail: each change of a trade or of the switch."),
    "balance": ("look", "What the exchange holds for us, with its value."),
    "reconcile": ("mend", "Journal, trades and exchange side by side."),
    "recover": ("mend", "Rebuild open trades from the exchange's own records."),
    "report": ("report", "Write a page of curves, trades and decisions."),
    "fetch": ("fetch", "Fetch candles from Kraken into data/candles."),
    "backtest": ("backtest", "Trade a history as botctl would have traded it."),
    "replay": ("replay", "Play a history through the real tick."),
    "sweep": ("sweep", "Try every set of a grid, and show the best."),
    "notify": ("notify", "Send a test message to every address of NOTIFY_URLS."),
    "schedule": ("schedule", "Have cron or systemd run the ticks."),
    "config": ("config", "See and check the settings."),
    "db": ("database", "The database: migrate, back up, check, copy."),
    "init": ("setup", "Write .env (owner-only) and make the mode's database."),
    "demo": ("setup", "Play the synthetic tape in a throw-away database."),
    "doctor": ("setup", "Check all that a first live run needs, with the fixes."),
}
"""The module of this package and the line of `botctl --help`, in the order shown."""


def _load(name: str) -> Any:
    """One command, made without those that live in the same module."""
    part = typer.Typer(rich_markup_mode=None)
    import_module(f"botctl.cli.{COMMANDS[name][0]}").register(part)
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
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
