"""Results of a tick, check-positions and drawdown."""

import sys
from decimal import Decimal

from botctl.cli.styled import Line, Span, draw_lines
from botctl.cli.tables import Drawing, group, pairs
from botctl.cli.views.orders import describe_order
from botctl.cli.views.positions import draw_live_positions
from botctl.cli.views.status import BAD, GOOD, GREY, NEAR_STOP, WARN, sign_style
from botctl.domain.decisions import Action
from botctl.domain.text import format_change, format_money, format_percent, format_price, format_time
from botctl.queries.results import CheckView
from botctl.trading.results import DrawdownView, OrderResult, StopView, TickView


def draw_tick(view: TickView) -> Drawing:
    """The story of a tick on a terminal, in colour; elsewhere its news alone, what weighs most first."""
    on_terminal = sys.stdout.isatty()
    lines: list[Line] = [[Span(f"{view.mode} tick of {format_time(view.at)} UTC", "bold")]]
    lines += [_order_line(result) for result in (*view.exits, *view.entries)]
    lines += [_stop_line(stop) for stop in view.stops if on_terminal or stop.moved]
    for row in view.decisions if on_terminal else [row for row in view.decisions if row.decision != Action.HOLD]:
        outcome = f" - {row.outcome}" if row.outcome else ""
        lines.append([Span(f"  {row.symbol} {row.decision}: {row.reason}{outcome}")])
    if view.equity is not None:
        equity, drawdown = format_money(view.equity), format_percent(view.drawdown)
        lines.append([Span(f"  equity {equity}, drawdown {drawdown}")])
    why = f"why: `botctl why {view.decisions[0].symbol}`" if view.decisions else _why_no_decision(view)
    lines.append([Span(f"  {why}", GREY)])
    return draw_lines(lines, coloured=on_terminal)


def _order_line(result: OrderResult) -> Line:
    """Green for a profit, red for a loss, bold for what is bought."""
    style = "bold" if result.pnl is None else GOOD if result.pnl > 0 else "red"
    return [Span(f"  {describe_order(result)}", style)]


def _stop_line(stop: StopView) -> Line:
    """BTC/USD +1.87 %  stop 51,227.00 -> 52,196.00 (1.30 % below)."""
    gain = Span(format_change(stop.gain), sign_style(stop.gain)) if stop.price is not None else Span("no price", WARN)
    before, now = format_price(stop.stop_before), format_price(stop.stop)
    told = f"stop {before} -> {now}" if stop.moved else f"stop {now}" if stop.stop is not None else "NO STOP"
    below = "" if stop.distance is None else f" ({format_percent(stop.distance)} below)"
    style = GOOD if stop.moved else WARN if stop.distance is not None and stop.distance < NEAR_STOP else ""
    return [Span(f"  {stop.symbol} "), gain, Span("  "), Span(f"{told}{below}", BAD if stop.stop is None else style)]


def _why_no_decision(view: TickView) -> str:
    sat = [step.detail for step in view.steps if step.name == "council" and step.ok]
    return sat[0] if sat else "the Council did not run"


def draw_position_check(view: CheckView) -> Drawing:
    """What was sold, which stops have moved and from where to where, and the positions now."""
    lines = [_order_line(result) for result in view.exits]
    lines += [_stop_line(stop) for stop in view.stops if stop.moved]
    positions = draw_live_positions(view.positions) if view.positions else "no open positions"
    return group(draw_lines(lines, coloured=sys.stdout.isatty()), positions) if lines else positions


def draw_drawdown(view: DrawdownView) -> Drawing:
    rows = [
        ("equity", format_money(view.equity)),
        ("initial balance", format_money(view.initial_balance)),
        ("measured from", format_money(view.base)),
        ("drawdown", f"{format_percent(view.drawdown)} (limit {format_percent(view.max_drawdown)})"),
        ("from its peak", f"{format_percent(view.drawdown_peak)} ({_limit(view.max_drawdown_peak)})"),
        ("guard", "TRIPPED" if view.tripped else "not tripped"),
    ]
    return group(pairs(rows), *[describe_order(result) for result in view.exits])


def _limit(limit: Decimal | None) -> str:
    return "no limit" if limit is None else f"limit {format_percent(limit)}"
