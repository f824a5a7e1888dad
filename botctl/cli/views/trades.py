"""Trades as a table, with what they came to below it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from botctl.cli.tables import Drawing, coloured, draw_rows, group, pairs
from botctl.domain.money import total
from botctl.domain.symbols import quote_of
from botctl.domain.text import (
    UNKNOWN,
    format_duration,
    format_money,
    format_percent,
    format_price,
    format_short_amount,
    format_signed,
    format_time,
)
from botctl.queries.positions import TradeRecord


def draw_all_trades(rows: Sequence[TradeRecord], decimals: Mapping[str, int], *, full: bool | None = None) -> Drawing:
    """All trades, oldest first, then the totals of those that are closed. `decimals` are of the prices, by symbol.

    See `draw_table` for `full`.
    """
    columns = {
        "id": lambda row: str(row.id),
        "symbol": lambda row: row.symbol,
        "amount": lambda row: format_short_amount(row.amount),
        "opened": lambda row: format_time(row.entry_time),
        "entry": lambda row: format_price(row.entry_price, decimals.get(row.symbol)),
        "first stop": lambda row: format_price(row.initial_stop_loss_price, decimals.get(row.symbol)),
        "exit": lambda row: format_price(row.exit_price, decimals.get(row.symbol)),
        "why": lambda row: row.exit_reason or row.status,
        "closed": lambda row: format_time(row.exit_time),
        "held": _held,
        "fees": lambda row: format_money(_fees(row), quote_of(row.symbol), named=False),
        "P&L": lambda row: coloured(row.pnl, quote_of(row.symbol)),
        "R": lambda row: format_signed(row.r_multiple),
    }
    return group(draw_rows(rows, columns, full=full), *draw_totals(rows))


def draw_totals(rows: Sequence[TradeRecord]) -> list[str]:
    """Win rate, P&L and fees of the closed trades, for each quote currency."""
    closed = [row for row in rows if row.exit_time is not None and row.pnl is not None]
    lines = []
    for quote in dict.fromkeys(quote_of(row.symbol) for row in closed):
        own = [row for row in closed if quote_of(row.symbol) == quote]
        pnls = [row.pnl or Decimal(0) for row in own]
        won = sum(pnl > 0 for pnl in pnls)
        said = f"{won} won, {len(own) - won} lost, win rate {format_percent(Decimal(won) / len(own))}"
        fees = format_money(total(_fees(row) or Decimal(0) for row in own), quote)
        lines.append((f"{len(own)} closed", f"{said}; P&L {format_signed(total(pnls), quote)} after {fees} of fees"))
    if unknown := sum(row.exit_time is not None and row.pnl is None for row in rows):
        lines.append((f"{unknown} closed", "with a P&L that is not known"))
    if not lines:
        return []
    return ["", pairs(lines)]


def _held(row: TradeRecord) -> str:
    if row.entry_time is None or row.exit_time is None:
        return UNKNOWN
    return format_duration(row.exit_time - row.entry_time)


def _fees(row: TradeRecord) -> Decimal | None:
    fees = [fee for fee in (row.entry_fee, row.exit_fee) if fee is not None]
    return total(fees) if fees else None
