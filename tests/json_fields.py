"""Writes the fields and types of the tables in docs/json.md: `python -m tests.json_fields`.

Each table follows a comment `<!-- fields: NAME -->`, and its rows come from the class of that name in RESULTS. The
meanings are written by hand and stay.
"""

import re
import sys
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, Union, get_args, get_origin, get_type_hints

from botctl.backtesting import results as backtesting
from botctl.cli import results as cli
from botctl.cli.results import NotifyView
from botctl.domain.health.checks import CheckResult
from botctl.domain.kill_switch import SwitchState
from botctl.market_data.fetch import FetchView, GapView
from botctl.queries import results as queries
from botctl.queries.cockpit import AlarmView, Cockpit, CockpitPosition, EquityAt
from botctl.queries.positions import LivePosition, TradeRecord
from botctl.queries.resting_stops import RestingStopView
from botctl.reconciliation import results as reconciliation
from botctl.reporting.model import ReportView
from botctl.scheduling.schedule import ScheduleView
from botctl.store.copy import CopiedTable
from botctl.trading import results as trading
from botctl.trading.agent_trial import AgentTrial
from botctl.trading.tickets.order_ticket import OrderTicket
from tests.bot_runner import PROJECT

PAGE = PROJECT / "docs" / "json.md"

RESULTS: dict[str, type] = {
    "trade": TradeRecord,
    "live position": LivePosition,
    "order": queries.OrderView,
    "resting stop": RestingStopView,
    "order result": trading.OrderResult,
    "order ticket": OrderTicket,
    "tick": trading.TickView,
    "step of a tick": trading.StepView,
    "stop of a check": trading.StopView,
    "position check": queries.CheckView,
    "drawdown": trading.DrawdownView,
    "liquidation": trading.LiquidationView,
    "switch": SwitchState,
    "status": Cockpit,
    "position in status": CockpitPosition,
    "equity at a tick": EquityAt,
    "alarm": AlarmView,
    "decision": trading.DecisionView,
    "trade history": queries.TradeHistory,
    "step of a history": queries.HistoryStep,
    "event": queries.EventView,
    "balance": queries.BalanceView,
    "reconciliation": reconciliation.ReconcileView,
    "reconciled order": reconciliation.ReconciledOrder,
    "reconciled position": reconciliation.ReconciledPosition,
    "recovery": reconciliation.RecoverView,
    "recover action": reconciliation.RecoverAction,
    "demo": queries.DemoView,
    "fetch": FetchView,
    "gap": GapView,
    "backtest": backtesting.BacktestView,
    "backtest trade": backtesting.BacktestTrade,
    "equity point": backtesting.EquityPoint,
    "trade group": backtesting.TradeGroup,
    "refusals": backtesting.Refusals,
    "sweep": backtesting.SweepView,
    "sweep row": backtesting.SweepRow,
    "sweep figures": backtesting.SweepFigures,
    "replay": backtesting.ReplayView,
    "report": ReportView,
    "serve": cli.ServeView,
    "check": CheckResult,
    "notification": NotifyView,
    "schedule": ScheduleView,
    "setting": cli.ConfigLine,
    "migration": cli.MigrateView,
    "backup": cli.BackupView,
    "copy": cli.CopyView,
    "copied table": CopiedTable,
    "init": cli.InitView,
    "new agent": cli.NewAgentView,
    "agent trial": AgentTrial,
    "help": cli.HelpView,
}
WITHOUT = {"replay": "backtest", "live position": "trade", "position in status": "live position"}
"""Tables that leave out the fields of another one."""
TABLE = re.compile(r"<!-- fields: (?P<name>[^>]+) -->\n(?P<rows>(?:\|[^\n]*\n)*)")
WORDS = {Decimal: "decimal", float: "decimal", int: "number", str: "text", bool: "true or false", datetime: "time"}
HEAD = ["| field | type | meaning |", "| --- | --- | --- |"]


def write_page(text: str) -> str:
    """The page with the fields that the classes have now."""
    found = [table["name"] for table in TABLE.finditer(text)]
    assert sorted(found) == sorted(RESULTS), sorted({*found} ^ {*RESULTS})
    return TABLE.sub(_write_table, text)


def _write_table(table: re.Match[str]) -> str:
    name = table["name"]
    meanings = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ?(.*?) ?\|$", table["rows"], re.MULTILINE))
    left_out = {field for field, _ in json_fields(RESULTS[WITHOUT[name]])} if name in WITHOUT else set()
    rows = [
        f"| `{field}` | {in_words(kind)} | {meanings.get(field, '')} |".replace("|  |", "| |")
        for field, kind in json_fields(RESULTS[name])
        if field not in left_out
    ]
    return "\n".join([f"<!-- fields: {name} -->", *HEAD, *rows, ""])


def json_fields(result: type) -> Iterator[tuple[str, Any]]:
    """The names in the document and the types of a result's fields, as `to_json` writes them."""
    modules = vars(import_module("botctl.store.copy")) | vars(sys.modules[result.__module__])
    hints = get_type_hints(result, modules)
    known = {field.name: field.metadata for field in fields(result)}
    for name in getattr(result, "JSON_FIELDS", known):
        if known[name].get("merged"):
            yield from json_fields(hints[name])
        elif key := known[name].get("json", name):
            yield key, hints[name]


def in_words(kind: Any) -> str:
    """A type as the page names it: `decimal or null`, `list of text`."""
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(in_words(part) for part in get_args(kind))
    if kind is type(None):
        return "null"
    if get_origin(kind) in (list, tuple):
        return f"list of {plural(get_args(kind)[0])}"
    if get_origin(kind) is dict or is_dataclass(kind):
        return "object"
    return WORDS[kind]


def plural(kind: Any) -> str:
    word = in_words(kind)
    return word if word == "text" else f"{word}s"


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
