"""Positions and trades as tables."""

from collections.abc import Iterable, Sequence

from botctl.cli.tables import Cell, Coloured, Drawing, coloured, draw_rows
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
    if _any_resting(row.trade for row in rows):
        columns["at Kraken"] = lambda row: _resting_cell(row.trade)
    return draw_rows(rows, columns)


def _any_resting(trades: Iterable[TradeRecord]) -> bool:
    """Whether the table needs the triggers of stops that rest at the exchange: there is one, or one is missing."""
    return any(trade.resting_trigger is not None or trade.unprotected is not None for trade in trades)


def _resting_cell(trade: TradeRecord) -> Cell:
    if trade.unprotected is None:
        return format_price(trade.resting_trigger)
    return Coloured("none!" if trade.unprotected == "none" else f"{format_price(trade.resting_trigger)}!", "red")


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
        if _any_resting(rows):
            columns["at Kraken"] = _resting_cell
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
