"""Decisions, events, and the history of one trade."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.tables import Drawing, group, pairs
from botctl.domain.account.performance import FLOW
from botctl.domain.council_rules import shown_stance
from botctl.domain.money import format_decimal
from botctl.domain.text import UNKNOWN, format_money, format_price, format_signed, format_time
from botctl.queries.positions import TradeRecord
from botctl.queries.results import EventView, TradeHistory
from botctl.trading.results import DecisionView


def draw_decisions(rows: Sequence[DecisionView]) -> Drawing:
    return group(*(part for row in rows for part in (_decision(row), "")))


def _decision(row: DecisionView) -> str:
    lines = [(format_time(row.decided_at), f"{row.decision} {row.symbol} at {format_price(row.price)}")]
    for verdict in row.verdicts:
        stance = shown_stance(verdict["stance"], float(verdict.get("confidence", 1)))  # older rows have none
        lines.append((f"  {verdict['agent']}", f"{stance}: {verdict['reason']}"))
    if not row.verdicts:
        lines.append(("  reason", row.reason))
    if row.outcome:
        lines.append(("  outcome", row.outcome))
    return pairs(lines)


def draw_events(rows: Sequence[EventView]) -> str:
    """Time, trade and kind of each event; below it the columns that changed."""
    lines = []
    for row in rows:
        subject = f"trade {row.trade_id} {row.symbol}: " if row.trade_id else f"{row.symbol}: " if row.symbol else ""
        why = "" if row.why == row.kind else f", {row.why}"
        lines.append((f"{row.at:%m-%d %H:%M:%S}", f"{subject}{row.kind}{why}"))
        changes = [
            f"{name} {_value(row.before.get(name))} -> {_value(value)}"
            for name, value in row.after.items()
            if name not in ("checked_at", "seen_at") and row.before.get(name) != value
        ]
        if changes and row.kind != FLOW:  # its reason says it all
            lines.append(("", ", ".join(changes)))
    return pairs(lines)


def _value(value: Any) -> str:
    """A column's value; numbers to ten digits."""
    if value in (None, ""):
        return UNKNOWN
    try:
        return format_decimal(Decimal(f"{Decimal(str(value)):.10g}"))
    except ArithmeticError:
        return str(value)


def _r_multiple(trade: TradeRecord) -> str:
    if trade.r_multiple is None:
        return UNKNOWN
    initial = format_price(trade.initial_stop_loss_price)
    return f"{format_signed(trade.r_multiple)} times the risk down to the initial stop, {initial}"


def draw_trade_history(view: TradeHistory) -> str:
    trade = view.trade
    reason = f", {trade.exit_reason}" if trade.exit_reason else ""
    lines = [(f"trade {trade.id}", f"{trade.symbol} {trade.status}{reason}")]
    if not view.steps or view.steps[0].kind != "decided":
        lines.append(("", "no Council decision: bought by hand, or recovered"))
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
        ("R multiple", _r_multiple(trade)),
    ]
    return pairs(lines)
