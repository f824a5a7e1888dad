"""Decisions, events, and the life of one trade, in the order in which they happened."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.tables import Drawing, group, pairs
from botctl.domain.money import format_decimal
from botctl.domain.text import UNKNOWN, format_money, format_price, format_signed, format_time
from botctl.queries.results import EventView, TradeHistory
from botctl.trading.results import DecisionView


def draw_decisions(rows: Sequence[DecisionView]) -> Drawing:
    return group(*(part for row in rows for part in (_decision(row), "")))


def _decision(row: DecisionView) -> str:
    lines = [(format_time(row.decided_at), f"{row.decision} {row.symbol} at {format_price(row.price)}")]
    lines += [(f"  {said['agent']}", f"{said['stance']}: {said['reason']}") for said in row.verdicts]
    if not row.verdicts:
        lines.append(("  reason", row.reason))
    if row.outcome:
        lines.append(("  outcome", row.outcome))
    return pairs(lines)


def draw_events(rows: Sequence[EventView]) -> str:
    """When, whose and what; below it each column that changed."""
    lines = []
    for row in rows:
        whose = f"trade {row.trade_id} {row.symbol}: " if row.trade_id else f"{row.symbol}: " if row.symbol else ""
        why = "" if row.why == row.kind else f", {row.why}"
        lines.append((f"{row.at:%m-%d %H:%M:%S}", f"{whose}{row.kind}{why}"))
        changes = [
            f"{name} {_figure(row.before.get(name))} -> {_figure(value)}"
            for name, value in row.after.items()
            if name != "checked_at" and row.before.get(name) != value
        ]
        if changes:
            lines.append(("", ", ".join(changes)))
    return pairs(lines)


def _figure(value: Any) -> str:
    """A column's value, to ten digits where it is a number."""
    if value in (None, ""):
        return UNKNOWN
    try:
        return format_decimal(Decimal(f"{Decimal(str(value)):.10g}"))
    except ArithmeticError:
        return str(value)


def draw_trade_history(view: TradeHistory) -> str:
    trade = view.trade
    ended = f", {trade.exit_reason}" if trade.exit_reason else ""
    lines = [(f"trade {trade.id}", f"{trade.symbol} {trade.status}{ended}")]
    if not view.steps or view.steps[0].kind != "decided":
        lines.append(("", "no decision of the Council led to it: bought by hand, or recovered"))
    for step in view.steps:
        lines.append((f"{step.at:%m-%d %H:%M:%S}", f"{step.kind}: {step.detail}"))
        if step.kind == "decided" and step.price is not None:
            lines.append(("", f"the last price was {format_price(step.price)}"))
        if step.kind == "order":
            lines.append(("", f"client order id {step.client_order_id}"))
    lines += [
        ("fees", format_money(view.fees)),
        ("slippage", format_signed(view.slippage_cost)),
        ("P&L", format_signed(trade.pnl)),
    ]
    return pairs(lines)
