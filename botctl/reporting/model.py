"""The content of a report before it is drawn, the same for a database and a backtest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from math import ceil

from botctl.domain.stops import StopRule
from botctl.queries.cockpit import Cockpit
from botctl.queries.flows import FlowRecord
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage


class SeriesKind(StrEnum):
    """The meaning of a series or marker, which decides its colour."""

    EQUITY = "equity"
    PERFORMANCE = "performance"
    HOLD = "hold"
    DRAWDOWN = "drawdown"
    GUARD = "guard"
    PRICE = "price"
    STOP = "stop"
    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True)
class Series:
    """Values over time, in unix seconds. A stepped series keeps each value until the next."""

    name: str
    kind: SeriesKind
    times: Sequence[float]
    values: Sequence[float]
    stepped: bool = False


@dataclass(frozen=True)
class Marker:
    name: str
    kind: SeriesKind
    time: float
    value: float


@dataclass(frozen=True)
class Bars:
    """Candles to draw, oldest first; `seconds` is the length of one."""

    seconds: int
    times: Sequence[int]
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Series, markers and candles on one time axis. `key` is equity, drawdown, or trade:7."""

    key: str
    title: str
    unit: str
    series: Sequence[Series] = ()
    markers: Sequence[Marker] = ()
    bars: Bars | None = None
    note: str = ""


@dataclass(frozen=True)
class StopMove:
    """The stop from this time on, in unix seconds."""

    time: float
    stop: float


@dataclass(frozen=True)
class DecisionSpan:
    """One decision of the Council on a symbol, once or several times in a row."""

    since: datetime
    until: datetime
    count: int
    symbol: str
    decision: str
    reason: str
    outcome: str
    price: Decimal | None
    """At the first of them."""


@dataclass(frozen=True)
class Account:
    title: str
    about: str
    quote: str
    initial_balance: Decimal | None
    max_drawdown: Decimal
    until: datetime
    """The end of the data: open trades are drawn up to here."""
    figures: Sequence[tuple[str, str]]
    """Figures that only this source has."""
    candles_hint: str
    """How to get candles for a symbol without them, with `{symbol}` in its place."""
    price_decimals: Mapping[str, int] = field(default_factory=dict)
    """Of the markets that are known, by symbol."""


@dataclass(frozen=True)
class CostRow:
    """What trading a symbol has cost, in its quote currency."""

    symbol: str
    trades: int
    pnl: Decimal
    turnover: Decimal
    """All that was bought and sold."""
    fees: Decimal
    slippage: Decimal | None
    """None where no order's expected price is known."""


@dataclass(frozen=True)
class Report:
    """Flows, trades, decision spans and slippages come newest first."""

    title: str
    about: str
    made_at: datetime
    cockpit: Cockpit | None
    """How the bot stands; None of a backtest."""
    quote: str
    price_decimals: Mapping[str, int]
    """Of the markets that are known, by symbol."""
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    equity: Chart
    drawdown: Chart
    flows: Sequence[FlowRecord]
    flow_count: int
    """Including those not shown."""
    trades: Sequence[TradeRecord]
    drawn: Mapping[int, Chart]
    """Charts of the newest trades, by trade id."""
    decision_spans: Sequence[DecisionSpan]
    decisions_cut: bool
    """Whether there are more of them."""
    decision_counts: Mapping[str, int]
    costs: Sequence[CostRow]
    slippages: Sequence[Slippage]
    slippage_count: int
    """Including those not shown."""


@dataclass(frozen=True)
class ReportView:
    """The files that a report wrote, None where not requested, and its numbers of trades."""

    file: str | None
    png: str | None
    trades: int
    trades_drawn: int


def downsample(times: Sequence[float], values: Sequence[float], limit: int) -> tuple[list[float], list[float]]:
    """At most about `limit` points: the ends of the curve, and the minimum and maximum of each bucket."""
    count = len(values)
    if count <= limit:
        return list(times), list(values)
    width = ceil(2 * count / limit)
    selected = {0, count - 1}
    for begin in range(0, count, width):
        bucket = range(begin, min(begin + width, count))
        selected |= {min(bucket, key=values.__getitem__), max(bucket, key=values.__getitem__)}
    indexes = sorted(selected)
    return [times[index] for index in indexes], [values[index] for index in indexes]


def merge_bars(bars: Bars, limit: int) -> Bars:
    """At most `limit` bars: consecutive candles become a longer one, with the highest high and the lowest low."""
    width = ceil(len(bars.times) / limit)
    if width <= 1:
        return bars
    starts = range(0, len(bars.times), width)
    return Bars(
        bars.seconds * width,
        [bars.times[at] for at in starts],
        [bars.opens[at] for at in starts],
        [max(bars.highs[at : at + width]) for at in starts],
        [min(bars.lows[at : at + width]) for at in starts],
        [bars.closes[min(at + width, len(bars.times)) - 1] for at in starts],
    )


def calculate_drawdowns(values: Sequence[float], opening: float = 0.0) -> list[float]:
    """Each value against the highest so far, `opening` included, as a fraction, never positive: -0.2 is twenty percent
    below."""
    highs = accumulate(values, max, initial=opening)
    next(highs)
    return [value / high - 1.0 if high > 0 else 0.0 for value, high in zip(values, highs, strict=True)]


def merge_decision_spans(decision_spans: Iterable[DecisionSpan]) -> list[DecisionSpan]:
    """Consecutive equal decisions on a symbol become one span. Oldest first, in and out."""
    merged: list[DecisionSpan] = []
    newest: dict[str, int] = {}
    for span in decision_spans:
        index = newest.get(span.symbol)
        before = merged[index] if index is not None else None
        equal = before and (before.decision, before.reason, before.outcome) == (
            span.decision,
            span.reason,
            span.outcome,
        )
        if before and index is not None and equal:
            merged[index] = replace(before, until=span.until, count=before.count + span.count)
        else:
            newest[span.symbol] = len(merged)
            merged.append(span)
    return merged


def stop_path(
    times: Sequence[float],
    closes: Sequence[float],
    entered: float,
    entry: float,
    atr: float,
    rule: StopRule,
    break_even: float = 0.0,
) -> list[StopMove]:
    """The stop from `entered` on, moved by the closes after it, until one of them hits it."""
    path = [StopMove(entered, rule.initial_stop(entry, atr))]
    steps = rule.advance_over(closes, path[0].stop, entry, entry, atr, break_even)
    for time, step in zip(times, steps, strict=False):
        if step.stop != path[-1].stop:
            path.append(StopMove(time, step.stop))
    return path
