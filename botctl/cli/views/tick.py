"""Results of a tick, check-positions and drawdown."""

import sys
from collections.abc import Mapping
from decimal import Decimal

from botctl.cli.styled import Line, Span, draw_lines
from botctl.cli.tables import Drawing, group, pairs
from botctl.cli.views.orders import describe_order
from botctl.cli.views.positions import draw_live_positions
from botctl.cli.views.status import BAD, GOOD, GREY, NEAR_STOP, WARN, sign_style
from botctl.domain.decisions import Action
from botctl.domain.text import (
    UNKNOWN,
    below_or_above,
    format_change,
    format_money,
    format_percent,
    format_price,
    format_time,
)
from botctl.queries.results import CheckView
from botctl.trading.results import DrawdownView, OrderResult, StopView, TickView


def draw_tick(view: TickView, decimals: Mapping[str, int], currency: str) -> Drawing:
    """The story of a tick on a terminal, in colour; elsewhere its news alone, what weighs most first.

    `decimals` are of the prices, by symbol; `currency` is that of the equity.
    """
    on_terminal = sys.stdout.isatty()
    lines: list[Line] = [[Span(f"{view.mode} tick of {format_time(view.at)} UTC", "bold")]]
    lines += [_order_line(result, decimals) for result in (*view.exits, *view.entries)]
    lines += [_stop_line(stop, decimals) for stop in view.stops if on_terminal or stop.moved]
    for row in view.decisions if on_terminal else [row for row in view.decisions if row.decision != Action.HOLD]:
        outcome = f" - {row.outcome}" if row.outcome else ""
        lines.append([Span(f"  {row.symbol} {row.decision}: {row.reason}{outcome}")])
    if view.equity is not None:
        below = "" if view.drawdown is None else f", {below_or_above(view.drawdown, 'the start')}"
        lines.append([Span(f"  equity {format_money(view.equity, currency)}{below}")])
    why = f"why: `botctl why {view.decisions[0].symbol}`" if view.decisions else _why_no_decision(view)
    lines.append([Span(f"  {why}", GREY)])
    return draw_lines(lines, coloured=on_terminal)


def _order_line(result: OrderResult, decimals: Mapping[str, int]) -> Line:
    """Green for a profit, red for a loss, bold for what is bought."""
    style = "bold" if result.pnl is None else GOOD if result.pnl > 0 else "red"
    return [Span(f"  {describe_order(result, decimals)}", style)]


def _stop_line(stop: StopView, decimals: Mapping[str, int]) -> Line:
    """BTC/USD +1.87 %  stop 51,227.0 -> 52,196.0 (1.30 % below)."""
    gain = Span(format_change(stop.gain), sign_style(stop.gain)) if stop.price is not None else Span("no price", WARN)
    before, now = (format_price(each, decimals.get(stop.symbol)) for each in (stop.stop_before, stop.stop))
    told = f"stop {before} -> {now}" if stop.moved else f"stop {now}" if stop.stop is not None else "NO STOP"
    below = "" if stop.distance is None else f" ({format_percent(stop.distance)} below)"
    style = GOOD if stop.moved else WARN if stop.distance is not None and stop.distance < NEAR_STOP else ""
    return [Span(f"  {stop.symbol} "), gain, Span("  "), Span(f"{told}{below}", BAD if stop.stop is None else style)]


def _why_no_decision(view: TickView) -> str:
    sat = [step.detail for step in view.steps if step.name == "council" and step.ok]
    return sat[0] if sat else "the Council did not run"


def draw_position_check(view: CheckView, decimals: Mapping[str, int]) -> Drawing:
    """What was sold, which stops have moved and from where to where, and the positions now."""
    lines = [_order_line(result, decimals) for result in view.exits]
    lines += [_stop_line(stop, decimals) for stop in view.stops if stop.moved]
    positions = draw_live_positions(view.positions, decimals) if view.positions else "no open positions"
    return group(draw_lines(lines, coloured=sys.stdout.isatty()), positions) if lines else positions


def draw_drawdown(view: DrawdownView, decimals: Mapping[str, int], currency: str) -> Drawing:
    rows = [
        ("equity", format_money(view.equity, currency)),
        ("initial balance", format_money(view.initial_balance, currency)),
        ("measured from", format_money(view.base, currency)),
        ("drawdown", f"{_below(view.drawdown, 'the start')} (limit {format_percent(view.max_drawdown)})"),
        ("", f"{_below(view.drawdown_peak, 'the peak')} ({_limit(view.max_drawdown_peak)})"),
        ("guard", "TRIPPED" if view.tripped else "not tripped"),
    ]
    return group(pairs(rows), *[describe_order(result, decimals) for result in view.exits])


def _below(drawdown: Decimal | None, what: str) -> str:
    return UNKNOWN if drawdown is None else below_or_above(drawdown, what)


def _limit(limit: Decimal | None) -> str:
    return "no limit" if limit is None else f"limit {format_percent(limit)}"
