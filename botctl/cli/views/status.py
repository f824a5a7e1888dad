"""The state of the bot and of its kill switch."""

import sys
from collections.abc import Sequence

from botctl.cli.tables import WIDTH, Drawing, pairs
from botctl.domain.kill_switch import SwitchState, describe_system
from botctl.domain.text import format_money, format_percent, format_time
from botctl.queries.portfolio import StatusView

BARS = "▁▂▃▄▅▆▇█"


def draw_status(view: StatusView) -> Drawing:
    """A panel on a terminal, plain lines elsewhere."""
    result = "ok" if view.last_tick_ok else "failed"
    rows = [
        ("mode", view.mode),
        ("system", view.system_description),
        ("buys", view.buys_description),
        ("equity", f"{format_money(view.equity)} of {format_money(view.initial_balance)}"),
        ("drawdown", f"{format_percent(view.drawdown)}, {format_percent(view.drawdown_peak)} from its peak"),
        ("open trades", str(view.open_trades)),
        ("unsettled orders", str(view.unsettled_orders)),
        ("last tick", "never" if view.last_tick_at is None else f"{format_time(view.last_tick_at)} UTC, {result}"),
        ("ticks run by", view.scheduled_by or "neither cron nor systemd"),
        ("missed ticks", str(view.missed_ticks)),
    ]
    if view.resting_stops or view.unprotected:
        rows.append(("resting stops", _describe_resting(view)))
    if view.running:
        rows.append(("running", view.running))
    return _panel(view, rows) if sys.stdout.isatty() else pairs(rows)


def _describe_resting(view: StatusView) -> str:
    lacking = f", UNPROTECTED: {'; '.join(view.unprotected)}" if view.unprotected else ""
    return f"{view.resting_stops} at Kraken{lacking}"


def _panel(view: StatusView, rows: Sequence[tuple[str, str]]) -> Drawing:
    from rich.panel import Panel
    from rich.text import Text

    problems = {
        "system": view.system_status != "ACTIVE" or view.frozen,
        "buys": not view.buy_enabled,
        "unsettled orders": view.unsettled_orders > 0,
        "last tick": view.last_tick_ok is False or bool(view.overdue),
        "resting stops": bool(view.unprotected),
    }
    text = Text(pairs(rows, WIDTH - 4))
    for name, is_problem in problems.items():
        if is_problem:
            text.highlight_regex(rf"(?m)^{name}  .*$", "bold red" if view.frozen else "yellow")
    if len(view.equity_curve) > 1 and "utf" in (sys.stdout.encoding or "").lower():
        curve = view.equity_curve
        text.append(f"\n\n{sparkline(curve, WIDTH - 4)}\n")
        text.append(f"equity of {len(curve)} ticks, {min(curve):,.2f} to {max(curve):,.2f}", "dim")
    colour = "red" if view.frozen or view.tripped_at else "yellow" if any(problems.values()) else "green"
    return Panel(text, title=f"botctl {view.mode}", border_style=colour, width=WIDTH)


def draw_switch(view: SwitchState) -> str:
    system = describe_system(view.system_status, view.frozen, view.why)
    return f"system is {system}, buys are {'enabled' if view.buy_enabled else 'disabled'}"


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars, oldest first, thinned to `width` of them; the last value is always the last bar."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    picked = [values[-1 - round(step * (len(values) - 1) / max(count - 1, 1))] for step in range(count)][::-1]
    low, span = min(picked), max(picked) - min(picked)
    if span <= 0:
        return BARS[len(BARS) // 2] * count
    return "".join(BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)] for value in picked)
