"""Positions and trades as tables."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from botctl.cli.tables import amount, coloured, figures_table, group, new_table, short
from botctl.domain.figures import UNKNOWN, percent, price
from botctl.domain.positions import LivePosition, TradeRecord

NEAR = Decimal("0.005")
"""How near its stop a price is shown as near, as a fraction."""


def draw_positions(rows: Sequence[TradeRecord]) -> Any:
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


def draw_trades(rows: Sequence[TradeRecord]) -> Any:
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
                f"{row.exit_at:%m-%d %H:%M}" if row.exit_at else UNKNOWN,
                coloured(row.pnl),
            ]
            for row in rows
        ],
    )


NAMING_THE_MODE: tuple[type, ...] = ()
VIEWS: dict[type, Callable[[Any], Any]] = {}
LISTS: dict[type, Callable[[Any], Any]] = {TradeRecord: draw_trades, LivePosition: draw_live_positions}
