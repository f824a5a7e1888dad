"""Builds a report from any source: its figures, charts and tables."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from botctl.backtesting import performance as measures
from botctl.domain import text
from botctl.domain.candles import CandleColumns, from_unix
from botctl.domain.errors import BadValue
from botctl.domain.orders import TradeStatus
from botctl.domain.symbols import quote_of
from botctl.queries.flows import FlowRecord
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.curve import Curve, Prices, follow_holding
from botctl.reporting.model import (
    Account,
    Bars,
    Chart,
    CostRow,
    Marker,
    Report,
    Series,
    SeriesKind,
    StopMove,
    calculate_drawdowns,
    downsample,
    merge_bars,
    merge_decision_spans,
)

if TYPE_CHECKING:
    from botctl.reporting.from_backtest import BacktestSource
    from botctl.reporting.from_database import DatabaseSource

    type ReportSource = BacktestSource | DatabaseSource

MAX_CURVE_POINTS = 3_000
"""About the columns of a screen."""
MAX_TRADE_BARS = 400
CONTEXT_BARS = 24
"""Candles before a trade's entry and after its exit."""
MAX_DECISION_ROWS = 500
MAX_FLOW_ROWS = 500
MAX_SLIPPAGE_ROWS = 500
EQUITY, DRAWDOWN, TRADE = "equity", "drawdown", "trade:"


def build_report(source: "ReportSource", *, max_drawn: int, made_at: datetime) -> Report:
    """The page's content, with a chart of each of the newest `max_drawn` trades."""
    account, trades, curve, flows = source.account(), source.trades(), source.curve(), source.flows()
    slippages, decision_spans = source.slippages(), merge_decision_spans(source.decision_spans())
    holding = _follow_holding(account, curve, source.prices())
    entered = [trade for trade in trades if trade.entry_time is not None and trade.entry_price is not None]
    shown = entered[-max_drawn:] if max_drawn else []
    drawn = {trade.id: draw_trade(source, account, trade) for trade in reversed(shown)}
    return Report(
        title=account.title,
        about=account.about,
        made_at=made_at,
        cockpit=source.cockpit,
        quote=account.quote,
        price_decimals=account.price_decimals,
        figures=[
            *_curve_figures(account, curve),
            *_holding_figures(account, holding),
            *_flow_figures(flows, account.quote),
            *_trade_figures(trades, slippages, account.quote),
            *account.figures,
        ],
        notes=_missing_candles(account, shown, drawn),
        equity=draw_equity(account, curve, holding),
        drawdown=draw_drawdown(curve),
        flows=flows[-MAX_FLOW_ROWS:][::-1],
        flow_count=len(flows),
        trades=trades[::-1],
        drawn=drawn,
        decision_spans=decision_spans[-MAX_DECISION_ROWS:][::-1],
        decisions_cut=len(decision_spans) > MAX_DECISION_ROWS,
        decision_counts=source.decision_counts(),
        costs=_costs(trades, slippages),
        slippages=slippages[-MAX_SLIPPAGE_ROWS:][::-1],
        slippage_count=len(slippages),
    )


def draw_chart(source: "ReportSource", key: str) -> Chart:
    """The chart of a key: equity, drawdown, or trade:7. Raises BadValue."""
    if key == EQUITY:
        account, curve = source.account(), source.curve()
        return draw_equity(account, curve, _follow_holding(account, curve, source.prices()))
    if key == DRAWDOWN:
        return draw_drawdown(source.curve())
    trade_id = key.removeprefix(TRADE)
    if not key.startswith(TRADE) or not trade_id.isdecimal():
        raise BadValue(f"--chart {key!r} is not a chart", hint="give equity, drawdown or trade:ID")
    trade = next((trade for trade in source.trades() if trade.id == int(trade_id)), None)
    if trade is None or trade.entry_time is None:
        raise BadValue(f"--chart {key}: no such trade", hint="the report's table has their ids")
    return draw_trade(source, source.account(), trade)


# Charts


def draw_equity(account: Account, curve: Curve, holding: Sequence[float]) -> Chart:
    """The equity, without its flows where there are any, what buying and holding would be worth, and the drawdown
    guard's limit where it comes near that."""
    series, times = [], curve.times
    if times:
        series.append(Series("equity", SeriesKind.EQUITY, *downsample(times, curve.equity, MAX_CURVE_POINTS)))
    if curve.has_flows:
        thin = downsample(times, curve.performance, MAX_CURVE_POINTS)
        series.append(Series("without deposits and withdrawals", SeriesKind.PERFORMANCE, *thin))
    if holding:
        series.append(Series("buy and hold", SeriesKind.HOLD, *downsample(times, holding, MAX_CURVE_POINTS)))
    if times and account.initial_balance is not None:
        series += _guard_series(curve, float(account.initial_balance * (1 - account.max_drawdown)))
    return Chart(EQUITY, "Equity", account.quote, series)


def _follow_holding(account: Account, curve: Curve, prices: Prices) -> list[float]:
    """At each point of the curve, from what it began with; empty where no prices are known."""
    if not curve.times or not prices:
        return []
    initial = account.initial_balance
    return follow_holding(curve.times, curve.opening or curve.performance[0] or float(initial or 0), prices)


def _guard_series(curve: Curve, floor: float) -> list[Series]:
    """The guard's limit of the equity, which moves with the flows; none where it would flatten the curve."""
    times, equity, performance = curve.times, curve.equity, curve.performance
    if min(performance) - floor >= max(performance) - min(performance):
        return []
    ratios = [worth / without if without > 0 else 1.0 for worth, without in zip(equity, performance, strict=True)]
    moved = [0, *(at for at in range(1, len(times)) if abs(ratios[at] - ratios[at - 1]) > 1e-9 * ratios[at - 1])]
    limits = [floor * ratios[at] for at in moved]
    return [
        Series(
            "drawdown guard",
            SeriesKind.GUARD,
            [*(times[at] for at in moved), times[-1]],
            [*limits, limits[-1]],
            stepped=len(moved) > 1,
        )
    ]


def draw_drawdown(curve: Curve) -> Chart:
    series = []
    if curve.times:
        percents = [100.0 * drawdown for drawdown in calculate_drawdowns(curve.performance, curve.opening)]
        series.append(Series("drawdown", SeriesKind.DRAWDOWN, *downsample(curve.times, percents, MAX_CURVE_POINTS)))
    title = "Drawdown from the highest equity so far" + (", deposits and withdrawals aside" if curve.has_flows else "")
    return Chart(DRAWDOWN, title, "%", series)


def draw_trade(source: "ReportSource", account: Account, trade: TradeRecord) -> Chart:
    """A trade on its candles: entry, the path of its stop, exit."""
    if trade.entry_time is None or trade.entry_price is None:
        raise BadValue(f"trade {trade.id} has no entry", hint="choose another")
    begin, entry = trade.entry_time.timestamp(), float(trade.entry_price)
    end = max(begin, (trade.exit_time or account.until).timestamp())
    series = [
        Series("entry price", SeriesKind.ENTRY, [begin, end], [entry, entry]),
        *_stop_series(source.stops(trade), end),
    ]
    markers = [Marker("entry", SeriesKind.ENTRY, begin, entry)]
    if trade.exit_time and trade.exit_price is not None:
        markers.append(Marker("exit", SeriesKind.EXIT, end, float(trade.exit_price)))
    bars = _bars_around(source.candles(trade.symbol), begin, end)
    merged = None if bars is None else merge_bars(bars, MAX_TRADE_BARS)
    note = ""
    if bars is None or merged is None:
        series.append(Series("no candles", SeriesKind.PRICE, [m.time for m in markers], [m.value for m in markers]))
        note = "no candles"
    elif merged is not bars:
        note = f"each bar is {merged.seconds // bars.seconds} candles"
    return Chart(f"{TRADE}{trade.id}", _title(trade), quote_of(trade.symbol), series, markers, merged, note)


def _stop_series(moves: Sequence[StopMove], end: float) -> list[Series]:
    if not moves:
        return []
    times = [*(move.time for move in moves), max(end, moves[-1].time)]
    stops = [*(move.stop for move in moves), moves[-1].stop]
    return [Series("stop", SeriesKind.STOP, times, stops, stepped=True)]


def _bars_around(candles: CandleColumns | None, begin: float, end: float) -> Bars | None:
    if candles is None:
        return None
    seconds, times = candles.seconds, candles.times
    around = seconds * max(CONTEXT_BARS, int((end - begin) / seconds) // 4)
    span = slice(bisect_left(times, begin - around), bisect_right(times, end + around))
    if span.start >= span.stop:
        return None
    columns = (candles.opens, candles.highs, candles.lows, candles.closes)
    return Bars(seconds, [int(time) for time in times[span]], *(list(map(float, column[span])) for column in columns))


def _title(trade: TradeRecord) -> str:
    ended = trade.exit_reason or trade.status
    profit = f", P&L {text.format_signed(trade.pnl)} {quote_of(trade.symbol)}" if trade.pnl is not None else ""
    return f"Trade {trade.id}: {trade.symbol}, {ended}{profit}"


def _missing_candles(account: Account, shown: Sequence[TradeRecord], drawn: dict[int, Chart]) -> list[str]:
    missing = Counter(trade.symbol for trade in shown if drawn[trade.id].bars is None)
    return [
        f"No candles for {count} of the drawn trades of {symbol}: their charts show only entry, stop and exit. "
        + account.candles_hint.format(symbol=symbol)
        for symbol, count in missing.items()
    ]


# Figures


def _curve_figures(account: Account, curve: Curve) -> list[tuple[str, str]]:
    """Return, drawdown and ratios are of the performance: a withdrawal is no loss."""
    times, values = curve.times, curve.performance
    if not times:
        return []
    equity, initial = Decimal(repr(float(curve.equity[-1]))), account.initial_balance
    performance = Decimal(repr(float(values[-1])))
    opening = [] if initial is None else [float(initial)]
    returns = measures.daily_returns([*opening, *measures.day_ends(times, values)])
    sharpe, sortino = measures.sharpe_ratio(returns), measures.sortino_ratio(returns)
    deepest = -min(calculate_drawdowns(values, curve.opening))
    of = "" if curve.has_flows else f" of {text.format_money(initial)}"
    return [
        ("from, to", f"{text.format_time(from_unix(times[0]))} to {text.format_time(from_unix(times[-1]))} UTC"),
        ("equity", f"{text.format_money(equity)}{of} {account.quote}"),
        ("return", text.format_percent(None if initial is None else performance / initial - 1)),
        ("max drawdown", text.format_percent(Decimal(repr(deepest)))),
        ("Sharpe, Sortino", f"{text.format_ratio(sharpe)}, {text.format_ratio(sortino)}"),
    ]


def _holding_figures(account: Account, holding: Sequence[float]) -> list[tuple[str, str]]:
    """The return of buying and holding since the curve began, unless the source has a figure of its own."""
    if not holding or not holding[0] or any(name == "buy and hold" for name, _ in account.figures):
        return []
    return [("buy and hold", text.format_percent(Decimal(repr(holding[-1] / holding[0] - 1))))]


def _flow_figures(flows: Sequence[FlowRecord], quote: str) -> list[tuple[str, str]]:
    if not flows:
        return []
    values = [flow.value for flow in flows if flow.value is not None]
    came, left = (sum((value for value in values if (value > 0) is way), Decimal(0)) for way in (True, False))
    return [("deposits, withdrawals", f"{text.format_signed(came)}, {text.format_signed(left)} {quote}")]


def _trade_figures(trades: Sequence[TradeRecord], slippages: Sequence[Slippage], quote: str) -> list[tuple[str, str]]:
    pnls = [trade.pnl for trade in trades if trade.pnl is not None]
    still_open = sum(trade.status == TradeStatus.OPEN for trade in trades)
    reasons = Counter(trade.exit_reason for trade in trades if trade.exit_reason)
    fees = _sum(fee for trade in trades for fee in (trade.entry_fee, trade.exit_fee))
    return [
        ("trades", f"{len(trades):,}" + (f", {still_open} still open" if still_open else "")),
        ("P&L of closed trades", f"{text.format_signed(sum(pnls, Decimal(0)))} {quote}"),
        ("win rate", text.format_percent(measures.win_rate(pnls))),
        ("profit factor", text.format_ratio(measures.profit_factor(pnls))),
        ("fees", f"{text.format_money(fees)} {quote}"),
        ("slippage", _slippage_summary(slippages, quote)),
        ("exits", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none"),
    ]


def _slippage_summary(slippages: Sequence[Slippage], quote: str) -> str:
    measured = [(row.fraction, row.cost) for row in slippages if row.fraction is not None and row.cost is not None]
    if not measured:
        return "unknown"
    mean = sum((fraction for fraction, _ in measured), Decimal(0)) / len(measured)
    total = sum((cost for _, cost in measured), Decimal(0))
    orders = f"{len(measured):,} of {len(slippages):,} orders"
    return f"{100 * mean:z.3f} % on average, {text.format_money(total)} {quote} in {orders}"


def _costs(trades: Sequence[TradeRecord], slippages: Sequence[Slippage]) -> list[CostRow]:
    """By symbol, the one with the highest fees first."""
    of_symbol: dict[str, list[TradeRecord]] = {}
    for trade in trades:
        of_symbol.setdefault(trade.symbol, []).append(trade)
    lost: dict[str, Decimal] = {}
    for row in slippages:
        if (cost := row.cost) is not None:
            lost[row.symbol] = lost.get(row.symbol, Decimal(0)) + cost
    rows = [
        CostRow(
            symbol,
            len(rows),
            _sum(trade.pnl for trade in rows),
            _sum(value for trade in rows for value in (trade.entry_cost, trade.exit_proceeds)),
            _sum(fee for trade in rows for fee in (trade.entry_fee, trade.exit_fee)),
            lost.get(symbol),
        )
        for symbol, rows in of_symbol.items()
    ]
    return sorted(rows, key=lambda row: row.fees, reverse=True)


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), Decimal(0))
