"""Results of backtest, replay and sweep."""

import csv
import sys
import textwrap
from dataclasses import fields
from datetime import datetime
from decimal import Decimal

from botctl.backtesting.performance import return_per_trade
from botctl.backtesting.results import (
    BacktestTrade,
    BacktestView,
    ReplayView,
    SweepFigures,
    SweepRow,
    SweepView,
    TradeGroup,
)
from botctl.cli import tables
from botctl.domain import text
from botctl.domain.serialization import to_json
from botctl.domain.symbols import quote_of

UNTESTED = "-"
COLUMN_NAMES = {
    "atr_multiple": "ATR x",
    "breakeven_atr": "breakeven",
    "breakeven_fees": "fees too",
    "exchange_stop": "resting",
    "exchange_stop_atr": "resting x",
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
REFUSALS = {
    "after_guard": "after the guard tripped",
    "cooldown": "in the cool-down",
    "no_room": "with MAX_OPEN_TRADES open",
    "no_stop": "without a stop to guard it",
    "no_cash": "without the cash or a limit's room",
}
"""Why an entry was refused, for people, by its field."""


def draw_backtest(view: BacktestView, max_trades: int) -> tables.Drawing:
    parts = [_summary(view), *_groups(view)]
    shown = view.trades[-max_trades:] if max_trades else []
    if not shown:
        return tables.group(*parts)
    parts += ["", _trades_table(shown, view.until)]
    if len(shown) < len(view.trades):
        parts.append(f"the newest {len(shown)} of {len(view.trades)} trades; --trades shows more, --csv all")
    return tables.group(*parts)


def show_csv(view: BacktestView) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(BacktestTrade.JSON_FIELDS)
    for trade in view.trades:
        # as in JSON: true and false
        writer.writerow(str(value).lower() if isinstance(value, bool) else value for value in to_json(trade).values())


def _summary(view: BacktestView) -> str:
    quote = quote_of(view.symbols[0])
    still_open = sum(trade.exit_time is None for trade in view.trades)
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
        ("expectancy", _expectancy(view)),
        *_refused(view),
        *_resting_stops(view),
        ("exposure", text.format_percent(view.exposure)),
        ("in the market", _invested(view, quote)),
        ("fees", f"{text.format_money(view.fees)} {quote}"),
    ]
    if view.tripped_at:
        rows.append(("guard", f"TRIPPED at {text.format_time(view.tripped_at)}: no entries after it"))
    if isinstance(view, ReplayView):
        rows.append(("ticks", f"{view.ticks:,}, {view.failed_ticks:,} of them failed"))
    if view.absent_candles:
        rows.append(("missing candles", f"{view.absent_candles:,}"))
    return tables.pairs(rows)


def _resting_stops(view: BacktestView) -> list[tuple[str, str]]:
    if view.exchange_stop_atr is None:
        return []
    fired = sum(trade.by_resting_stop for trade in view.trades)
    where = f"{view.exchange_stop_atr:g} ATR below the stop" if view.exchange_stop_atr else "on the stop"
    return [("resting stops", f"{where}; {fired:,} sold inside a candle")]


def _expectancy(view: BacktestView) -> str:
    if view.best_trade is None or view.worst_trade is None:
        return "no closed trades"
    extremes = (f"{name} {_extreme(trade)}" for name, trade in (("best", view.best_trade), ("worst", view.worst_trade)))
    mean = "unknown" if view.expectancy_r is None else f"{view.expectancy_r:z.2f} R a trade"
    return f"{mean}; {', '.join(extremes)}"


def _extreme(trade: BacktestTrade) -> str:
    pnl = text.format_signed(trade.pnl, quote_of(trade.symbol))
    return f"{pnl} ({trade.symbol}, {text.format_time(trade.entry_time)})"


def _refused(view: BacktestView) -> list[tuple[str, str]]:
    """At how many bars a BUY came to nothing, and why."""
    if view.refused is None:
        return []
    counts = {REFUSALS[each.name]: getattr(view.refused, each.name) for each in fields(view.refused)}
    said = ", ".join(f"{count:,} {why}" for why, count in sorted(counts.items(), key=lambda one: -one[1]) if count)
    return [("BUYs refused", f"at {sum(counts.values()):,} bars: {said}" if said else "none")]


def _invested(view: BacktestView, quote: str) -> str:
    traded = text.format_signed(view.equity - view.initial_balance)
    held = text.format_signed(view.invested_held)
    return f"{text.format_money(view.invested)} {quote} on average: traded {traded}, as buy and hold {held}"


def _groups(view: BacktestView) -> list[tables.Drawing]:
    """The closed trades by exit reason, and by symbol where there are several."""
    drawn: list[tables.Drawing] = []
    for name, groups in (("exit reason", view.by_exit_reason), ("symbol", view.by_symbol)):
        if groups and (name != "symbol" or len(view.symbols) > 1):
            drawn += ["", _group_table(name, groups)]
    return drawn


def _group_table(name: str, groups: list[TradeGroup]) -> tables.Drawing:
    columns = {
        name: lambda group: group.name,
        "trades": lambda group: f"{group.trades:,}",
        "won": lambda group: text.format_percent(group.win_rate),
        "mean P&L": lambda group: tables.coloured(group.mean_pnl),
        "P&L": lambda group: tables.coloured(group.pnl),
    }
    return tables.draw_rows(groups, columns)


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
        "entered": lambda trade: text.format_time(trade.entry_time),
        "entry": lambda trade: text.format_price(trade.entry_price),
        "held": lambda trade: text.format_duration((trade.exit_time or until) - trade.entry_time),
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
    table = tables.draw_table((*names, figure, "neighbours", "test", "trades", "max drawdown %"), cells)
    said = [view.verdict, *view.warnings]
    return tables.group(table, *["\n".join(textwrap.wrap(sentence, tables.width())) for sentence in said])


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
