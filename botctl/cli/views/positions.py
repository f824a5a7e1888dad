"""Positions and trades as tables."""

from collections.abc import Iterable, Mapping, Sequence

from botctl.cli.tables import Cell, Coloured, Drawing, coloured, draw_rows
from botctl.domain.text import UNKNOWN, format_amount, format_price, format_short_amount, format_signed
from botctl.queries.positions import LivePosition, TradeRecord


def draw_live_positions(rows: Sequence[LivePosition], decimals: Mapping[str, int]) -> Drawing:
    """Open trades with current prices. `decimals` are of the prices, by symbol."""
    columns = {
        "id": lambda row: str(row.trade.id),
        "symbol": lambda row: row.trade.symbol,
        "amount": lambda row: format_amount(row.trade.amount),
        "entry": lambda row: format_price(row.trade.entry_price, decimals.get(row.trade.symbol)),
        "break-even": lambda row: format_price(row.break_even_price, decimals.get(row.trade.symbol)),
        "stop": lambda row: format_price(row.trade.stop_loss_price, decimals.get(row.trade.symbol)),
        "high": lambda row: format_price(row.trade.high_price, decimals.get(row.trade.symbol)),
        "price": lambda row: format_price(row.price, decimals.get(row.trade.symbol)),
        "P&L": lambda row: coloured(row.net_pnl),
    }
    if _any_resting(row.trade for row in rows):
        columns["at Kraken"] = lambda row: _resting_cell(row.trade, decimals.get(row.trade.symbol))
    return draw_rows(rows, columns)


def _any_resting(trades: Iterable[TradeRecord]) -> bool:
    """Whether the table needs the triggers of stops that rest at the exchange: there is one, or one is missing."""
    return any(trade.resting_trigger is not None or trade.unprotected is not None for trade in trades)


def _resting_cell(trade: TradeRecord, decimals: int | None) -> Cell:
    trigger = format_price(trade.resting_trigger, decimals)
    if trade.unprotected is None:
        return trigger
    return Coloured("none!" if trade.unprotected == "none" else f"{trigger}!", "red")


def draw_trades(rows: Sequence[TradeRecord], decimals: Mapping[str, int]) -> Drawing:
    """Trades without current prices. `decimals` are of the prices, by symbol."""
    columns = {"id": lambda row: str(row.id), "symbol": lambda row: row.symbol}
    if all(row.status in ("OPEN", "PENDING") for row in rows):
        columns |= {
            "status": lambda row: row.status,
            "amount": lambda row: format_amount(row.amount),
            "entry": lambda row: format_price(row.entry_price, decimals.get(row.symbol)),
            "stop": lambda row: format_price(row.stop_loss_price, decimals.get(row.symbol)),
            "high": lambda row: format_price(row.high_price, decimals.get(row.symbol)),
        }
        if _any_resting(rows):
            columns["at Kraken"] = lambda row: _resting_cell(row, decimals.get(row.symbol))
    else:
        columns |= {
            "amount": lambda row: format_short_amount(row.amount),
            "entry": lambda row: format_price(row.entry_price, decimals.get(row.symbol)),
            "exit": lambda row: format_price(row.exit_price, decimals.get(row.symbol)),
            "why": lambda row: row.exit_reason or row.status,
            "closed": lambda row: f"{row.exit_time:%m-%d %H:%M}" if row.exit_time else UNKNOWN,
            "P&L": lambda row: coloured(row.pnl),
            "R": lambda row: format_signed(row.r_multiple),
        }
    return draw_rows(rows, columns)
