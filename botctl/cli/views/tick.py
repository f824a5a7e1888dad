"""Results of a tick, check-positions and drawdown."""

from decimal import Decimal

from botctl.cli.tables import Drawing, group, pairs
from botctl.cli.views.orders import describe_order
from botctl.cli.views.positions import draw_live_positions
from botctl.domain.text import format_money, format_percent, format_time
from botctl.queries.results import CheckView
from botctl.trading.results import DrawdownView, TickView


def draw_tick(view: TickView) -> Drawing:
    lines = [f"{view.mode} tick of {format_time(view.at)} UTC"]
    lines += [f"  {describe_order(result)}" for result in (*view.exits, *view.entries)]
    for row in view.decisions:
        outcome = f" - {row.outcome}" if row.outcome else ""
        lines.append(f"  {row.symbol} {row.decision}: {row.reason}{outcome}")
    if view.equity is not None:
        lines.append(f"  equity {format_money(view.equity)}, drawdown {format_percent(view.drawdown)}")
    lines.append(f"  why: `botctl why {view.decisions[0].symbol}`" if view.decisions else f"  {_why_no_decision(view)}")
    return group(*lines)


def _why_no_decision(view: TickView) -> str:
    sat = [step.detail for step in view.steps if step.name == "council" and step.ok]
    return sat[0] if sat else "the Council did not run"


def draw_position_check(view: CheckView) -> Drawing:
    sold = [describe_order(result) for result in view.exits]
    return group(*sold, draw_live_positions(view.positions) if view.positions else "no open positions")


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
