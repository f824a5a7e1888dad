"""Puts a report together, from whatever source: its figures, its charts, its tables."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from botctl.backtesting import performance
from botctl.domain import text
from botctl.domain.candles import CandleColumns, from_unix
from botctl.domain.errors import BadValue
from botctl.domain.orders import TradeStatus
from botctl.domain.symbols import quote_of
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.model import (
    Bars,
    Chart,
    DecisionSpan,
    Marker,
    Report,
    Series,
    SeriesKind,
    StopMove,
    falls,
    merge_bars,
    merge_decision_spans,
    thin,
)

CURVE_POINTS = 3_000
"""More points than a screen has columns tell nobody more."""
TRADE_BARS = 400
CONTEXT_BARS = 24
"""Candles before a trade's entry and after its exit."""
DECISIONS_SHOWN = 500
EQUITY, DRAWDOWN, TRADE = "equity", "drawdown", "trade:"


@dataclass(frozen=True)
class Account:
    """Whose report it is."""

    title: str
    about: str
    quote: str
    initial_balance: Decimal | None
    max_drawdown: Decimal
    until: datetime
    """Up to when something is known: where open trades are drawn to."""
    figures: Sequence[tuple[str, str]]
    """What this source alone knows."""
    candles_hint: str
    """How to get candles of a symbol that has none; `{symbol}` stands for it."""


class Source(Protocol):
    """What a report is made of: a database, or a backtest."""

    def account(self) -> Account: ...

    def curve(self) -> tuple[Sequence[int], Sequence[float]]:
        """The equity over time, in unix seconds; may be empty."""

    def trades(self) -> list[TradeRecord]:
        """All of them, oldest first."""

    def stops(self, trade: TradeRecord) -> list[StopMove]:
        """Where the trade's stop stood, from its entry on."""

    def candles(self, symbol: str) -> CandleColumns | None:
        """The candles of a symbol, if any are at hand."""

    def decision_spans(self) -> list[DecisionSpan]:
        """What the Council said, oldest first."""

    def slippages(self) -> list[Slippage]:
        """Every filled order, oldest first."""


def build_report(source: Source, *, most_drawn: int, made_at: datetime) -> Report:
    """All of a page; the newest `most_drawn` trades with a chart."""
    account, trades, curve = source.account(), source.trades(), source.curve()
    said, slippages = source.decision_spans(), source.slippages()
    decision_spans = merge_decision_spans(said)
    entered = [trade for trade in trades if trade.entry_at is not None]
    shown = entered[-most_drawn:] if most_drawn else []
    drawn = {trade.id: draw_trade(source, account, trade) for trade in reversed(shown)}
    return Report(
        title=account.title,
        about=account.about,
        made_at=made_at,
        quote=account.quote,
        figures=[
            *_curve_figures(account, *curve),
            *_trade_figures(trades, slippages, account.quote),
            *account.figures,
        ],
        notes=_missing_candles(account, shown, drawn),
        equity=draw_equity(account, *curve),
        drawdown=draw_drawdown(*curve),
        trades=trades[::-1],
        drawn=drawn,
        decision_spans=decision_spans[-DECISIONS_SHOWN:][::-1],
        all_rulings=len(decision_spans),
        decided=_count(said),
        slippages=slippages[::-1],
    )


def draw_chart(source: Source, key: str) -> Chart:
    """One chart by its key: equity, drawdown, or trade:7. Raises BadValue."""
    if key == EQUITY:
        return draw_equity(source.account(), *source.curve())
    if key == DRAWDOWN:
        return draw_drawdown(*source.curve())
    wanted = key.removeprefix(TRADE)
    if not key.startswith(TRADE) or not wanted.isdecimal():
        raise BadValue(f"--chart {key!r} is no chart", hint="give equity, drawdown or trade:ID")
    trade = next((trade for trade in source.trades() if trade.id == int(wanted)), None)
    if trade is None or trade.entry_at is None:
        raise BadValue(f"--chart {key}: there is no such trade", hint="the report's table has their ids")
    return draw_trade(source, source.account(), trade)


# Charts


def draw_equity(account: Account, times: Sequence[int], values: Sequence[float]) -> Chart:
    """What the account was worth, and, where it came near, the worth below which the guard sells everything."""
    series = []
    if times:
        series.append(Series("equity", SeriesKind.EQUITY, *thin(times, values, CURVE_POINTS)))
    if times and account.initial_balance is not None:
        floor = float(account.initial_balance * (1 - account.max_drawdown))
        if min(values) - floor < max(values) - min(values):  # from farther off it would only flatten the curve
            series.append(Series("drawdown guard", SeriesKind.GUARD, [times[0], times[-1]], [floor, floor]))
    return Chart(EQUITY, "Equity", account.quote, series)


def draw_drawdown(times: Sequence[int], values: Sequence[float]) -> Chart:
    """How far the account lay below the highest it had been worth."""
    series = []
    if times:
        percents = [100.0 * fall for fall in falls(values)]
        series.append(Series("drawdown", SeriesKind.DRAWDOWN, *thin(times, percents, CURVE_POINTS)))
    return Chart(DRAWDOWN, "Drawdown from the highest equity so far", "%", series)


def draw_trade(source: Source, account: Account, trade: TradeRecord) -> Chart:
    """A trade on its candles: entry, the path of its stop, exit."""
    if trade.entry_at is None or trade.entry_price is None:
        raise BadValue(f"trade {trade.id} was never entered", hint="choose another")
    begin, entry = trade.entry_at.timestamp(), float(trade.entry_price)
    end = max(begin, (trade.exit_at or account.until).timestamp())
    series = [
        Series("entry price", SeriesKind.ENTRY, [begin, end], [entry, entry]),
        *_stop_lines(source.stops(trade), end),
    ]
    markers = [Marker("entry", SeriesKind.ENTRY, begin, entry)]
    if trade.exit_at and trade.exit_price is not None:
        markers.append(Marker("exit", SeriesKind.EXIT, end, float(trade.exit_price)))
    bars = _bars_around(source.candles(trade.symbol), begin, end)
    merged = None if bars is None else merge_bars(bars, TRADE_BARS)
    note = ""
    if bars is None or merged is None:
        series.append(Series("no candles", SeriesKind.PRICE, [m.time for m in markers], [m.value for m in markers]))
        note = "no candles"
    elif merged is not bars:
        note = f"each bar is {merged.seconds // bars.seconds} candles"
    return Chart(f"{TRADE}{trade.id}", _title(trade), quote_of(trade.symbol), series, markers, merged, note)


def _stop_lines(moves: Sequence[StopMove], end: float) -> list[Series]:
    """The path of a stop up to `end`; no line where nothing is known of it."""
    if not moves:
        return []
    times = [*(move.time for move in moves), max(end, moves[-1].time)]
    stops = [*(move.stop for move in moves), moves[-1].stop]
    return [Series("stop", SeriesKind.STOP, times, stops, stepped=True)]


def _bars_around(candles: CandleColumns | None, begin: float, end: float) -> Bars | None:
    """The candles of a trade and some around it; None where there are none."""
    if candles is None:
        return None
    seconds, times = candles.seconds, candles.times
    around = seconds * max(CONTEXT_BARS, int((end - begin) / seconds) // 4)
    part = slice(bisect_left(times, begin - around), bisect_right(times, end + around))
    if part.start >= part.stop:
        return None
    columns = (candles.opens, candles.highs, candles.lows, candles.closes)
    return Bars(seconds, [int(time) for time in times[part]], *(list(map(float, column[part])) for column in columns))


def _title(trade: TradeRecord) -> str:
    ended = trade.exit_reason or trade.status
    profit = f", P&L {text.format_signed(trade.pnl)} {quote_of(trade.symbol)}" if trade.pnl is not None else ""
    return f"Trade {trade.id}: {trade.symbol}, {ended}{profit}"


def _missing_candles(account: Account, shown: Sequence[TradeRecord], drawn: dict[int, Chart]) -> list[str]:
    bare = Counter(trade.symbol for trade in shown if drawn[trade.id].bars is None)
    return [
        f"No candles are at hand for {count} of the drawn trades of {symbol}: these show entry, stop and exit alone. "
        + account.candles_hint.format(symbol=symbol)
        for symbol, count in bare.items()
    ]


# Figures


def _curve_figures(account: Account, times: Sequence[int], values: Sequence[float]) -> list[tuple[str, str]]:
    """What the equity's curve says; nothing without one."""
    if not times:
        return []
    equity, initial = Decimal(repr(float(values[-1]))), account.initial_balance
    opening = [] if initial is None else [float(initial)]
    returns = performance.daily_returns([*opening, *performance.day_ends(times, values)])
    sharpe, sortino = performance.sharpe_ratio(returns), performance.sortino_ratio(returns)
    return [
        ("from, to", f"{text.format_time(from_unix(times[0]))} to {text.format_time(from_unix(times[-1]))} UTC"),
        ("equity", f"{text.format_money(equity)} of {text.format_money(initial)} {account.quote}"),
        ("return", text.format_percent(None if initial is None else equity / initial - 1)),
        ("max drawdown", text.format_percent(Decimal(repr(-min(falls(values)))))),
        ("Sharpe, Sortino", f"{text.format_ratio(sharpe)}, {text.format_ratio(sortino)}"),
    ]


def _trade_figures(trades: Sequence[TradeRecord], slippages: Sequence[Slippage], quote: str) -> list[tuple[str, str]]:
    """What the trades and their orders come to."""
    pnls = [trade.pnl for trade in trades if trade.pnl is not None]
    still_open = sum(trade.status == TradeStatus.OPEN for trade in trades)
    reasons = Counter(trade.exit_reason for trade in trades if trade.exit_reason)
    fees = sum((fee for trade in trades for fee in (trade.entry_fee, trade.exit_fee) if fee is not None), Decimal(0))
    return [
        ("trades", f"{len(trades):,}" + (f", {still_open} still open" if still_open else "")),
        ("P&L of closed trades", f"{text.format_signed(sum(pnls, Decimal(0)))} {quote}"),
        ("win rate", text.format_percent(performance.win_rate(pnls))),
        ("profit factor", text.format_ratio(performance.profit_factor(pnls))),
        ("fees", f"{text.format_money(fees)} {quote}"),
        ("slippage", _slippage_in_words(slippages, quote)),
        ("exits", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none"),
    ]


def _slippage_in_words(slippages: Sequence[Slippage], quote: str) -> str:
    known = [(row.fraction, row.cost) for row in slippages if row.fraction is not None and row.cost is not None]
    if not known:
        return "unknown"
    mean = sum((fraction for fraction, _ in known), Decimal(0)) / len(known)
    total = sum((cost for _, cost in known), Decimal(0))
    of = f"{len(known):,} of {len(slippages):,} orders"
    return f"{100 * mean:z.3f} % on average, {text.format_money(total)} {quote} in {of}"


def _count(decision_spans: Sequence[DecisionSpan]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for span in decision_spans:
        counts[span.decision] += span.count
    return dict(sorted(counts.items()))
