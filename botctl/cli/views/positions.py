"""Positions and trades as tables."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.cli.tables import Cell, Coloured, Drawing, amount, coloured, draw_table, group, short
from botctl.domain.text import UNKNOWN, format_percent, format_price
from botctl.queries.positions import LivePosition, TradeRecord

NEAR_STOP = Decimal("0.005")
"""Distance from the stop, as a fraction of the price, below which it is coloured."""


def draw_positions(rows: Sequence[TradeRecord]) -> Drawing:
    columns = ("id", "symbol", "status", "amount", "entry", "stop", "high")
    return draw_table(columns, [[str(row.id), row.symbol, row.status, *_levels(row)] for row in rows])


def draw_live_positions(rows: Sequence[LivePosition]) -> Drawing:
    columns = ("id", "symbol", "amount", "entry", "stop", "high", "price", "P&L")
    return draw_table(
        columns,
        [
            [
                str(row.trade.id),
                row.trade.symbol,
                *_levels(row.trade),
                format_price(row.price),
                coloured(row.unrealized_pnl),
            ]
            for row in rows
        ],
    )


def _levels(trade: TradeRecord) -> list[str]:
    return [
        amount(trade.amount),
        format_price(trade.entry_price),
        format_price(trade.stop_loss_price),
        format_price(trade.high_price),
    ]


def draw_watched_positions(rows: Sequence[LivePosition], lines: Sequence[str]) -> Drawing:
    """The table of positions --watch, with the distance to each stop and some lines below."""
    if not rows:
        return group("no open positions", *lines)
    table = draw_table(
        ("id", "symbol", "amount", "entry", "price", "stop", "to stop", "P&L"),
        [
            [
                str(row.trade.id),
                row.trade.symbol,
                short(row.trade.amount),
                format_price(row.trade.entry_price),
                format_price(row.price),
                format_price(row.trade.stop_loss_price),
                _stop_distance(row.stop_distance),
                coloured(row.unrealized_pnl),
            ]
            for row in rows
        ],
    )
    return group(table, *lines)


def _stop_distance(distance: Decimal | None) -> Cell:
    """Red at or below the stop, yellow close to it."""
    text = format_percent(distance)
    if distance is None or distance >= NEAR_STOP:
        return text
    return Coloured(text, "red" if distance <= 0 else "yellow")


def draw_trades(rows: Sequence[TradeRecord]) -> Drawing:
    if all(row.status in ("OPEN", "PENDING") for row in rows):
        return draw_positions(rows)
    return draw_table(
        ("id", "symbol", "amount", "entry", "exit", "why", "closed", "P&L"),
        [
            [
                str(row.id),
                row.symbol,
                short(row.amount),
                format_price(row.entry_price),
                format_price(row.exit_price),
                row.exit_reason or row.status,
                f"{row.exit_at:%m-%d %H:%M}" if row.exit_at else UNKNOWN,
                coloured(row.pnl),
            ]
            for row in rows
        ],
    )
