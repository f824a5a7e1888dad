"""Results of backtest, replay and sweep."""

import csv
import sys
import textwrap
from collections import Counter
from datetime import datetime
from decimal import Decimal

from botctl.backtesting.performance import return_per_trade
from botctl.backtesting.results import BacktestTrade, BacktestView, ReplayView, SweepFigures, SweepRow, SweepView
from botctl.cli import tables
from botctl.domain import text
from botctl.domain.serialization import to_json
from botctl.domain.symbols import quote_of

UNTESTED = "-"
COLUMN_NAMES = {
    "atr_multiple": "ATR x",
    "breakeven_atr": "breakeven",
    "breakeven_fees": "fees too",
    "min_stop_costs": "min costs",
    "atr_period": "period",
    "cooldown_minutes": "cool-down",
    "max_open_trades": "open",
    "trade_amount_usd": "amount",
    "risk_per_trade": "risk",
    "max_trade_amount": "max amount",
    "max_exposure": "exposure",
    "max_drawdown": "guard",
    "max_drawdown_peak": "peak",
}
"""Short names of swept settings, for table columns."""


def draw_backtest(view: BacktestView, max_trades: int) -> tables.Drawing:
    shown = view.trades[-max_trades:] if max_trades else []
    if not shown:
        return _summary(view)
    parts = [_summary(view), "", _trades_table(shown, view.until)]
    if len(shown) < len(view.trades):
        parts.append(f"the newest {len(shown)} of {len(view.trades)} trades; --trades shows more, --csv all")
    return tables.group(*parts)


def show_csv(view: BacktestView) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(BacktestTrade.JSON_FIELDS)
    for trade in view.trades:
        writer.writerow(to_json(trade).values())


def _summary(view: BacktestView) -> str:
    quote = quote_of(view.symbols[0])
    still_open = sum(trade.exit_time is None for trade in view.trades)
    reasons = Counter(trade.exit_reason for trade in view.trades if trade.exit_reason)
    rows = [
        ("replay" if isinstance(view, ReplayView) else "backtest", f"{', '.join(view.symbols)} on {view.candles}"),
        ("traded", f"{text.format_time(view.since)} to {text.format_time(view.until)} UTC, {view.bars:,} bars"),
        ("Council", view.council),
        ("sentiment", view.mood),
        ("equity", f"{text.format_money(view.equity)} of {text.format_money(view.initial_balance)} {quote}"),
        ("return", f"{text.format_percent(view.returned)}; buy and hold {text.format_percent(view.buy_and_hold)}"),
        ("max drawdown", text.format_percent(view.max_drawdown)),
        ("Sharpe, Sortino", f"{text.format_ratio(view.sharpe)}, {text.format_ratio(view.sortino)}"),
        ("trades", f"{len(view.trades):,}" + (f", {still_open} still open" if still_open else "")),
        ("win rate", f"{text.format_percent(view.win_rate)}, profit factor {text.format_ratio(view.profit_factor)}"),
        ("per trade", _per_trade(view)),
        ("exits", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none"),
        ("exposure", text.format_percent(view.exposure)),
        ("fees", f"{text.format_money(view.fees)} {quote}"),
    ]
    if view.tripped_at:
        rows.append(("guard", f"TRIPPED at {text.format_time(view.tripped_at)}: no entries after it"))
    if isinstance(view, ReplayView):
        rows.append(("ticks", f"{view.ticks:,}, {view.failed_ticks:,} of them failed"))
    if view.absent_candles:
        rows.append(("missing candles", f"{view.absent_candles:,}"))
    return tables.pairs(rows)


def _per_trade(view: BacktestView) -> str:
    """What the closed trades brought on average, by their cost: before fees, slippage included, and after both fees."""
    closed = [trade for trade in view.trades if trade.pnl is not None and trade.exit_proceeds is not None]
    costs = [trade.entry_cost for trade in closed]
    before = return_per_trade(costs, [(trade.exit_proceeds or 0) - trade.entry_cost for trade in closed])
    after = return_per_trade(costs, [trade.pnl or Decimal(0) for trade in closed])
    return f"{text.format_percent(before)} before fees, {text.format_percent(after)} after them"


def _trades_table(trades: list[BacktestTrade], until: datetime) -> tables.Drawing:
    columns = {
        "symbol": lambda trade: trade.symbol,
        "entered": lambda trade: f"{trade.entry_time:%y-%m-%d %H:%M}",
        "entry": lambda trade: text.format_price(trade.entry_price),
        "held": lambda trade: _holding_time(trade.entry_time, trade.exit_time or until),
        "exit": lambda trade: text.format_price(trade.exit_price),
        "why": lambda trade: trade.exit_reason or "OPEN",
        "P&L": lambda trade: tables.coloured(trade.pnl),
    }
    return tables.draw_rows(trades, columns)


def draw_sweep(view: SweepView) -> tables.Drawing:
    if not view.best:
        return "no sets were tried"
    figure = {"return": "return %", "sharpe": "Sharpe", "drawdown": "drawdown %"}[view.by]
    names = [COLUMN_NAMES.get(name, name) for name in view.best[0].settings]
    cells = []
    for row in view.best:
        train, test = (UNTESTED if part is None else _measure(part, view.by) for part in (row.train, row.test))
        drawdown = f"{100 * row.train.max_drawdown:.2f}"
        cells.append([*row.settings.values(), train, _neighbours(row, view.by), test, str(row.train.trades), drawdown])
    table = tables.draw_table((*names, figure, "neighbours", "test", "trades", "max DD %"), cells)
    return tables.group(table, *["\n".join(textwrap.wrap(warning, tables.width())) for warning in view.warnings])


def _neighbours(row: SweepRow, by: str) -> str:
    if row.neighbours_low is None:
        return UNTESTED
    return f"{_figure(row.neighbours_low, by)} .. {_figure(row.neighbours_high, by)}"


def _measure(figures: SweepFigures, by: str) -> str:
    value = {"return": figures.returned, "sharpe": figures.sharpe, "drawdown": -figures.max_drawdown}[by]
    return _figure(value, by)


def _figure(value: float | None, by: str) -> str:
    if value is None or value != value or value == float("-inf"):
        return text.UNKNOWN
    return f"{value:.2f}" if by == "sharpe" else f"{100 * value:+.2f}"


def _holding_time(since: datetime, until: datetime) -> str:
    minutes = int((until - since).total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days}d {hours:02}h" if days else f"{hours}h {minutes % 60:02}m"
