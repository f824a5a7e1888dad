"""The quickest commands' results as tables: positions, trades, the status, the switch."""

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.tables import WIDTH, amount, coloured, figures_table, group, new_table, pairs, short
from botctl.domain.figures import UNKNOWN, moment, money, percent, price
from botctl.domain.glances import LivePosition, StatusView, TradeView

NEAR = Decimal("0.005")
"""How near its stop a price is shown as near, as a fraction."""


def draw_positions(rows: Sequence[TradeView]) -> Any:
    return figures_table(
        ("id", "symbol", "status", "amount", "entry", "stop", "high"),
        [
            [
                str(row.id),
                row.symbol,
                row.status,
                amount(row.amount),
                price(row.entry_price),
                price(row.stop_loss_price),
                price(row.high_price),
            ]
            for row in rows
        ],
    )


def draw_live_positions(rows: Sequence[LivePosition]) -> Any:
    return figures_table(
        ("id", "symbol", "amount", "entry", "stop", "high", "price", "P&L"),
        [
            [
                str(row.trade.id),
                row.trade.symbol,
                amount(row.trade.amount),
                price(row.trade.entry_price),
                price(row.trade.stop_loss_price),
                price(row.trade.high_price),
                price(row.price),
                coloured(row.unrealized_pnl),
            ]
            for row in rows
        ],
    )


def watch_view(rows: Sequence[LivePosition], lines: Sequence[str]) -> Any:
    """What positions --watch shows: how near each stop is, too, and some lines below."""
    if not rows:
        return group("no open positions", *lines)
    table = new_table("id", "symbol", "amount", "entry", "price", "stop", "to stop", "P&L")
    for row in rows:
        trade = row.trade
        gap = row.stop_distance
        colour = "red" if gap is not None and gap <= 0 else "yellow" if gap is not None and gap < NEAR else "default"
        table.add_row(
            str(trade.id),
            trade.symbol,
            short(trade.amount),
            price(trade.entry_price),
            price(row.price),
            price(trade.stop_loss_price),
            f"[{colour}]{percent(gap)}[/]",
            coloured(row.unrealized_pnl),
        )
    return group(table, *lines)


def draw_trades(rows: Sequence[TradeView]) -> Any:
    if all(row.status in ("OPEN", "PENDING") for row in rows):
        return draw_positions(rows)
    return figures_table(
        ("id", "symbol", "amount", "entry", "exit", "why", "closed", "P&L"),
        [
            [
                str(row.id),
                row.symbol,
                short(row.amount),
                price(row.entry_price),
                price(row.exit_price),
                row.exit_reason or row.status,
                f"{row.closed_at:%m-%d %H:%M}" if row.closed_at else UNKNOWN,
                coloured(row.pnl),
            ]
            for row in rows
        ],
    )


def _status(view: StatusView) -> Any:
    """On a terminal a panel; elsewhere the same words plain, and without waiting for rich."""
    state = view.system_status + (" and FROZEN" if view.frozen else "")
    buys = "enabled" if view.buy_enabled else "disabled"
    if view.tripped_at:
        buys = f"disabled: the drawdown guard tripped at {moment(view.tripped_at)}"
    last = "never" if view.last_tick_at is None else f"{moment(view.last_tick_at)} UTC, {_ok(view.last_tick_ok)}"
    rows = [
        ("mode", view.mode),
        ("system", state + (f" ({view.why})" if view.why else "")),
        ("buys", buys),
        ("equity", f"{money(view.equity)} of {money(view.initial_balance)}"),
        ("drawdown", percent(view.drawdown)),
        ("open trades", str(view.open_trades)),
        ("unsettled orders", str(view.unsettled_orders)),
        ("last tick", last),
        ("missed ticks", str(view.missed_ticks)),
    ]
    if not sys.stdout.isatty():
        return pairs(rows)
    return _panel(view, rows)


def _panel(view: StatusView, rows: Sequence[tuple[str, str]]) -> Any:
    from rich.panel import Panel
    from rich.text import Text

    from botctl.domain.sparkline import sparkline

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


NAMING_THE_MODE = (StatusView,)
VIEWS: dict[type, Callable[[Any], Any]] = {StatusView: _status}
LISTS: dict[type, Callable[[Any], Any]] = {TradeView: draw_trades, LivePosition: draw_live_positions}
