"""The state of the bot in a panel, and its kill switch in one line."""

import sys
from collections.abc import Sequence

from botctl.cli.tables import WIDTH, Drawing, pairs
from botctl.domain.kill_switch import SwitchState
from botctl.domain.text import format_money, format_percent, format_time
from botctl.queries.portfolio import StatusView


def draw_status(view: StatusView) -> Drawing:
    """On a terminal a panel; elsewhere the same words plain, and without waiting for rich."""
    last = "never" if view.last_tick_at is None else f"{format_time(view.last_tick_at)} UTC, {_ok(view.last_tick_ok)}"
    rows = [
        ("mode", view.mode),
        ("system", view.system_in_words),
        ("buys", view.buys_in_words),
        ("equity", f"{format_money(view.equity)} of {format_money(view.initial_balance)}"),
        ("drawdown", format_percent(view.drawdown)),
        ("open trades", str(view.open_trades)),
        ("unsettled orders", str(view.unsettled_orders)),
        ("last tick", last),
        ("missed ticks", str(view.missed_ticks)),
    ]
    if not sys.stdout.isatty():
        return pairs(rows)
    return _panel(view, rows)


def _panel(view: StatusView, rows: Sequence[tuple[str, str]]) -> Drawing:
    from rich.panel import Panel
    from rich.text import Text

    from botctl.cli.views.status import sparkline

    worrying = {
        "system": view.system_status != "ACTIVE" or view.frozen,
        "buys": not view.buy_enabled,
        "unsettled orders": view.unsettled_orders > 0,
        "last tick": view.last_tick_ok is False,
    }
    text = Text(pairs(rows, WIDTH - 4))
    for name, worries in worrying.items():
        if worries:
            text.highlight_regex(rf"(?m)^{name}  .*$", "bold red" if view.frozen else "yellow")
    if len(view.equity_curve) > 1 and "utf" in (sys.stdout.encoding or "").lower():
        curve = view.equity_curve
        text.append(f"\n\n{sparkline(curve, WIDTH - 4)}\n")
        text.append(f"equity of {len(curve)} ticks, {min(curve):,.2f} to {max(curve):,.2f}", "dim")
    colour = "red" if view.frozen or view.tripped_at else "yellow" if any(worrying.values()) else "green"
    return Panel(text, title=f"botctl {view.mode}", border_style=colour, width=WIDTH)


def _ok(value: bool | None) -> str:
    return "ok" if value else "failed"


def draw_switch(view: SwitchState) -> str:
    frozen = " and FROZEN: positions are unguarded" if view.frozen else ""
    why = f" ({view.why})" if view.why else ""
    return f"system is {view.system_status}{frozen}{why}, buys are {'enabled' if view.buy_enabled else 'disabled'}"


BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars, oldest first: the lowest is the lowest bar. More than `width` of them are thinned, and the
    last value always stands at the end. A curve that never moved is a flat one."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    picked = [values[-1 - round(step * (len(values) - 1) / max(count - 1, 1))] for step in range(count)][::-1]
    low, span = min(picked), max(picked) - min(picked)
    if span <= 0:
        return BARS[len(BARS) // 2] * count
    return "".join(BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)] for value in picked)
