"""Positions and trades as tables."""

from collections.abc import Sequence

from botctl.cli.tables import Drawing, coloured, draw_rows
from botctl.domain.text import UNKNOWN, format_amount, format_price, format_short_amount, format_signed
from botctl.queries.positions import LivePosition, TradeRecord


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
