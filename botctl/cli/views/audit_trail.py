"""Decisions, events, and the history of one trade, as sentences."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.tables import pairs
from botctl.domain.account.performance import FLOW
from botctl.domain.council_rules import shown_stance
from botctl.domain.money import format_decimal
from botctl.domain.symbols import quote_of
from botctl.domain.text import (
    UNKNOWN,
    format_duration,
    format_money,
    format_price,
    format_signed,
    format_time,
    short_id,
    with_prices,
)
from botctl.queries.positions import TradeRecord
from botctl.queries.results import EventView, TradeHistory
from botctl.trading.results import DecisionView

PriceDecimals = Mapping[str, int]
"""Decimals of the prices, by symbol."""


def draw_decisions(rows: Sequence[DecisionView], decimals: PriceDecimals) -> str:
    return "\n\n".join(_decision(row, decimals) for row in rows)


def _decision(row: DecisionView, decimals: PriceDecimals) -> str:
    price = format_price(row.price, decimals.get(row.symbol))
    lines = [(format_time(row.decided_at), f"{row.decision} {row.symbol} at {price}")]
    for verdict in row.verdicts:
        stance = shown_stance(verdict["stance"], float(verdict.get("confidence", 1)))  # older rows have none
        lines.append((f"  {verdict['agent']}", f"{stance}: {verdict['reason']}"))
    if not row.verdicts:
        lines.append(("  reason", row.reason))
    if row.outcome:
        lines.append(("  outcome", row.outcome))
    return pairs(lines)


def draw_events(rows: Sequence[EventView], decimals: PriceDecimals, *, full: bool = False) -> str:
    """Each event as a sentence; with `full` below it the columns that changed, and times to the second."""
    lines = []
    for row in rows:
        subject = f"trade {row.trade_id} {row.symbol}: " if row.trade_id else f"{row.symbol}: " if row.symbol else ""
        lines.append((format_time(row.at, seconds=full), subject + _sentence(row, decimals.get(row.symbol or ""))))
        if full and (changes := _changes(row)):
            lines.append(("", changes))
    return pairs(lines)


def _sentence(row: EventView, decimals: int | None) -> str:
    before, after, why = row.before, row.after, with_prices(row.why, decimals)
    match row.kind:
        case "new high":
            return f"a new high, {_price(after.get('high_price'), decimals)}"
        case "stop moved":
            stops = [_price(each.get("stop_loss_price"), decimals) for each in (before, after)]
            return f"the stop moved from {stops[0]} to {stops[1]} ({why})"
        case "stop hit":
            return f"the stop was hit ({why}): {after.get('exiting')}"
        case "opened":
            return f"{why}, stop {_price(after.get('stop_loss_price'), decimals)}"
        case "entry intended":
            return "a buy was recorded, then sent"
        case "closed":
            return f"closed, {why}, P&L {_money(after.get('pnl'), row.symbol)}"
        case "sold":
            return why
    return row.kind if row.why == row.kind else f"{row.kind}, {row.why}"


def _changes(row: EventView) -> str:
    changed = [
        f"{name} {_value(row.before.get(name))} -> {_value(value)}"
        for name, value in row.after.items()
        if name not in ("checked_at", "seen_at") and row.before.get(name) != value
    ]
    return "" if row.kind == FLOW else ", ".join(changed)  # its reason says it all


def _value(value: Any) -> str:
    """A column's value; numbers to ten digits."""
    if value in (None, ""):
        return UNKNOWN
    try:
        return format_decimal(Decimal(f"{Decimal(str(value)):.10g}"))
    except ArithmeticError:
        return str(value)


def _price(value: Any, decimals: int | None) -> str:
    """A price as the trail has it: a number, or its text."""
    try:
        return format_price(None if value is None else Decimal(str(value)), decimals)
    except ArithmeticError:
        return str(value)


def _money(value: Any, symbol: str | None) -> str:
    try:
        return format_signed(None if value is None else Decimal(str(value)), quote_of(symbol or "/"))
    except ArithmeticError:
        return str(value)


def draw_trade_history(view: TradeHistory, decimals: PriceDecimals, *, full: bool = False) -> str:
    trade, quote = view.trade, quote_of(view.trade.symbol)
    reason = f", {trade.exit_reason}" if trade.exit_reason else ""
    held = ""
    if trade.entry_time is not None and trade.exit_time is not None:
        held = f", held for {format_duration(trade.exit_time - trade.entry_time)}"
    lines = [(f"trade {trade.id}", f"{trade.symbol} {trade.status}{reason}{held}")]
    if not view.steps or view.steps[0].kind != "decided":
        lines.append(("", "no Council decision: bought by hand, or recovered"))
    for step in view.steps:
        order = step.kind == "order" and step.client_order_id
        shown = "" if not order else f" (id {order if full else short_id(order)})"
        lines.append((format_time(step.at, seconds=full), f"{step.detail}{shown}"))
        if step.kind == "decided" and step.price is not None:
            lines.append(("", f"the last price was {format_price(step.price, decimals.get(trade.symbol))}"))
    lines += [
        ("fees", format_money(view.fees, quote)),
        ("slippage", format_signed(view.slippage_cost, quote)),
    ]
    if trade.exit_time is None:
        lines.append(("P&L", "still open: `botctl positions --live` shows it by the price of now"))
    else:
        lines += [
            ("P&L", format_signed(trade.pnl, quote)),
            ("R multiple", _r_multiple(trade, decimals.get(trade.symbol))),
        ]
    return pairs(lines)


def _r_multiple(trade: TradeRecord, decimals: int | None) -> str:
    if trade.r_multiple is None:
        return UNKNOWN
    initial = format_price(trade.initial_stop_loss_price, decimals)
    return f"{format_signed(trade.r_multiple)} times the risk down to the initial stop, {initial}"
