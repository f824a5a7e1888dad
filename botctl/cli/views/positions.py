"""Positions and trades as tables."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.cli.tables import Cell, Coloured, Drawing, coloured, draw_rows, group
from botctl.domain.text import UNKNOWN, format_amount, format_percent, format_price, format_short_amount, format_signed
from botctl.queries.positions import LivePosition, TradeRecord

NEAR_STOP = Decimal("0.005")
"""Distance from the stop, as a fraction of the price, below which it is coloured."""


def draw_live_positions(rows: Sequence[LivePosition]) -> Drawing:
    columns = {
        "id": lambda row: str(row.trade.id),
        "symbol": lambda row: row.trade.symbol,
        "amount": lambda row: format_amount(row.trade.amount),
        "entry": lambda row: format_price(row.trade.entry_price),
        "break-even": lambda row: format_price(row.break_even_price),
        "stop": lambda row: format_price(row.trade.stop_loss_price),
        "high": lambda row: format_price(row.trade.high_price),
        "price": lambda row: format_price(row.price),
        "P&L": lambda row: coloured(row.net_pnl),
    }
    return draw_rows(rows, columns)


def draw_watched_positions(rows: Sequence[LivePosition], lines: Sequence[str]) -> Drawing:
    """The table of positions --watch, with the distance to each stop and some lines below."""
    if not rows:
        return group("no open positions", *lines)
    columns = {
        "id": lambda row: str(row.trade.id),
        "symbol": lambda row: row.trade.symbol,
        "amount": lambda row: format_short_amount(row.trade.amount),
        "entry": lambda row: format_price(row.trade.entry_price),
        "break-even": lambda row: format_price(row.break_even_price),
        "price": lambda row: format_price(row.price),
        "stop": lambda row: format_price(row.trade.stop_loss_price),
        "to stop": lambda row: _stop_distance(row.stop_distance),
        "P&L": lambda row: coloured(row.net_pnl),
    }
    return group(draw_rows(rows, columns), *lines)


def _stop_distance(distance: Decimal | None) -> Cell:
    """Red at or below the stop, yellow close to it."""
    text = format_percent(distance)
    if distance is None or distance >= NEAR_STOP:
        return text
    return Coloured(text, "red" if distance <= 0 else "yellow")


def draw_trades(rows: Sequence[TradeRecord]) -> Drawing:
    columns = {"id": lambda row: str(row.id), "symbol": lambda row: row.symbol}
    if all(row.status in ("OPEN", "PENDING") for row in rows):
        columns |= {
            "status": lambda row: row.status,
            "amount": lambda row: format_amount(row.amount),
            "entry": lambda row: format_price(row.entry_price),
            "stop": lambda row: format_price(row.stop_loss_price),
            "high": lambda row: format_price(row.high_price),
        }
    else:
        columns |= {
            "amount": lambda row: format_short_amount(row.amount),
            "entry": lambda row: format_price(row.entry_price),
            "exit": lambda row: format_price(row.exit_price),
            "why": lambda row: row.exit_reason or row.status,
            "closed": lambda row: f"{row.exit_time:%m-%d %H:%M}" if row.exit_time else UNKNOWN,
            "P&L": lambda row: coloured(row.pnl),
            "R": lambda row: format_signed(row.r_multiple),
        }
    return draw_rows(rows, columns)
