"""The outcome of a study becomes a summary, a table that fits 80 columns, JSON or CSV."""

import csv
import sys
import textwrap
from collections import Counter
from datetime import datetime

from botctl.backtesting.results import BacktestTrade, BacktestView, ReplayView, SweepFigures, SweepRow, SweepView
from botctl.cli import tables
from botctl.domain import text
from botctl.domain.serialization import to_json
from botctl.domain.symbols import Timeframe, quote_of

UNTRIED = "-"
SHORT_NAMES = {
    "atr_multiple": "ATR x",
    "breakeven_atr": "breakeven",
    "atr_period": "period",
    "cooldown_minutes": "cool-down",
    "max_open_trades": "open",
    "trade_amount_usd": "amount",
    "max_drawdown": "guard",
}
"""What swept settings are called where there is no room for their names."""


def draw_backtest(view: BacktestView, most_trades: int) -> tables.Drawing:
    """The figures, and so many of the newest trades."""
    shown = view.trades[-most_trades:] if most_trades else []
    if not shown:
        return summary(view)
    parts = [summary(view), "", trades_table(shown, view.until)]
    if len(shown) < len(view.trades):
        parts.append(f"the newest {len(shown)} of {len(view.trades)} trades; --trades shows more, --csv all")
    return tables.group(*parts)


def show_csv(view: BacktestView) -> None:
    """Print every trade as a row, with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(BacktestTrade.JSON_FIELDS)
    for trade in view.trades:
        writer.writerow(to_json(trade).values())


def summary(view: BacktestView) -> str:
    """The figures, in plain text."""
    quote = quote_of(view.symbols[0])
    timeframe = Timeframe.from_seconds(view.seconds)
    still_open = sum(trade.exit_at is None for trade in view.trades)
    reasons = Counter(trade.exit_reason for trade in view.trades if trade.exit_reason)
    rows = [
        ("replay" if isinstance(view, ReplayView) else "backtest", f"{', '.join(view.symbols)} on {timeframe} candles"),
        ("traded", f"{text.format_time(view.since)} to {text.format_time(view.until)} UTC, {view.bars:,} bars"),
        ("mood", view.mood),
        ("equity", f"{text.format_money(view.equity)} of {text.format_money(view.initial_balance)} {quote}"),
        ("return", f"{text.format_percent(view.returned)}; buy and hold {text.format_percent(view.buy_and_hold)}"),
        ("max drawdown", text.format_percent(view.max_drawdown)),
        ("Sharpe, Sortino", f"{text.format_ratio(view.sharpe)}, {text.format_ratio(view.sortino)}"),
        ("trades", f"{len(view.trades):,}" + (f", {still_open} still open" if still_open else "")),
        ("win rate", f"{text.format_percent(view.win_rate)}, profit factor {text.format_ratio(view.profit_factor)}"),
        ("exits", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none"),
        ("exposure", text.format_percent(view.exposure)),
        ("fees", f"{text.format_money(view.fees)} {quote}"),
    ]
    if view.tripped_at:
        rows.append(("guard", f"TRIPPED at {text.format_time(view.tripped_at)}: no entry after it"))
    if isinstance(view, ReplayView):
        rows.append(("ticks", f"{view.ticks:,}, {view.failed_ticks:,} of them failed"))
    if view.absent_candles:
        rows.append(("absent candles", f"{view.absent_candles:,}"))
    return tables.pairs(rows)


def trades_table(trades: list[BacktestTrade], until: datetime) -> tables.Drawing:
    return tables.draw_table(
        ("symbol", "entered", "entry", "held", "exit", "why", "P&L"),
        [
            [
                trade.symbol,
                f"{trade.entry_at:%y-%m-%d %H:%M}",
                text.format_price(trade.entry_price),
                held(trade.entry_at, trade.exit_at or until),
                text.format_price(trade.exit_price),
                trade.exit_reason or "OPEN",
                tables.coloured(trade.pnl),
            ]
            for trade in trades
        ],
    )


def draw_sweep(view: SweepView) -> tables.Drawing:
    """The best sets beside what their neighbours did, and in words what to think of them."""
    if not view.best:
        return "no set was tried"
    figure = {"return": "return %", "sharpe": "Sharpe", "drawdown": "drawdown %"}[view.by]
    names = [SHORT_NAMES.get(name, name) for name in view.best[0].settings]
    table = tables.draw_table(
        (*names, figure, "neighbours", "test", "trades", "fall %"),
        [
            [
                *row.settings.values(),
                _judged(row.train, view.by),
                _neighbours(row, view.by),
                UNTRIED if row.test is None else _judged(row.test, view.by),
                str(row.train.trades),
                f"{100 * row.train.max_drawdown:.2f}",
            ]
            for row in view.best
        ],
    )
    return tables.group(table, *["\n".join(textwrap.wrap(words, tables.WIDTH)) for words in view.warnings])


def _neighbours(row: SweepRow, by: str) -> str:
    if row.neighbours_low is None:
        return UNTRIED
    return f"{_figure(row.neighbours_low, by)} .. {_figure(row.neighbours_high, by)}"


def _judged(figures: SweepFigures, by: str) -> str:
    value = {"return": figures.returned, "sharpe": figures.sharpe, "drawdown": -figures.max_drawdown}[by]
    return _figure(value, by)


def _figure(value: float | None, by: str) -> str:
    if value is None or value != value or value == float("-inf"):
        return text.UNKNOWN
    return f"{value:.2f}" if by == "sharpe" else f"{100 * value:+.2f}"


def held(since: datetime, until: datetime) -> str:
    """A length of time in its two largest units."""
    minutes = int((until - since).total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days}d {hours:02}h" if days else f"{hours}h {minutes % 60:02}m"
