"""What a report shows, before anybody draws it: figures, charts and tables, the same for a database and a backtest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from math import ceil

from botctl.domain.stops import StopRule
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage


class SeriesKind(StrEnum):
    """What a line or a mark stands for: its colour follows from it."""

    EQUITY = "equity"
    DRAWDOWN = "drawdown"
    GUARD = "guard"
    PRICE = "price"
    STOP = "stop"
    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True)
class Series:
    """A curve over time, in unix seconds. A stepped one keeps each value until the next."""

    name: str
    kind: SeriesKind
    times: Sequence[float]
    values: Sequence[float]
    stepped: bool = False


@dataclass(frozen=True)
class Marker:
    """One moment on a chart."""

    name: str
    kind: SeriesKind
    time: float
    value: float


@dataclass(frozen=True)
class Bars:
    """Candles to be drawn, oldest first; `seconds` is the length of one."""

    seconds: int
    times: Sequence[int]
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """One picture over time. `key` is what asks for it: equity, drawdown, or trade:7."""

    key: str
    title: str
    unit: str
    series: Sequence[Series] = ()
    markers: Sequence[Marker] = ()
    bars: Bars | None = None
    note: str = ""


@dataclass(frozen=True)
class StopMove:
    """From this moment on, in unix seconds, the stop stood there."""

    time: float
    stop: float


@dataclass(frozen=True)
class DecisionSpan:
    """What the Council said of a symbol, once or several times on end."""

    since: datetime
    until: datetime
    count: int
    symbol: str
    decision: str
    reason: str
    outcome: str
    price: Decimal | None
    """When it was first said."""


@dataclass(frozen=True)
class Report:
    """All of one page."""

    title: str
    about: str
    made_at: datetime
    quote: str
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    equity: Chart
    drawdown: Chart
    trades: Sequence[TradeRecord]
    """All of them, newest first."""
    drawn: Mapping[int, Chart]
    """The charts of the newest trades, by the trade's id."""
    decision_spans: Sequence[DecisionSpan]
    """Newest first."""
    all_rulings: int
    """How many there are, shown or not."""
    decided: Mapping[str, int]
    """How often each decision was made."""
    slippages: "Sequence[Slippage]" = field(default_factory=list)
    """Newest first."""


@dataclass(frozen=True)
class ReportView:
    """The files that a report wrote, each None where it was not asked for, and how many trades it tells of."""

    file: str | None
    png: str | None
    trades: int
    trades_drawn: int


# Fewer points, the same picture


def thin(times: Sequence[float], values: Sequence[float], most: int) -> tuple[list[float], list[float]]:
    """At most about `most` points of a curve: of each stretch its lowest and its highest, and both ends of the curve.

    No extreme is lost.
    """
    count = len(values)
    if count <= most:
        return list(times), list(values)
    width = ceil(2 * count / most)
    kept = {0, count - 1}
    for begin in range(0, count, width):
        stretch = range(begin, min(begin + width, count))
        kept.add(min(stretch, key=values.__getitem__))
        kept.add(max(stretch, key=values.__getitem__))
    places = sorted(kept)
    return [times[place] for place in places], [values[place] for place in places]


def merge_bars(bars: Bars, most: int) -> Bars:
    """At most `most` bars: several candles on end become a longer one, with the highest high and the lowest low."""
    width = ceil(len(bars.times) / most)
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


def falls(values: Iterable[float]) -> list[float]:
    """How far each value lies below the highest before it, as a fraction, never positive: -0.2 is twenty percent."""
    high, fallen = 0.0, []
    for value in values:
        high = max(high, value)
        fallen.append(value / high - 1.0 if high > 0 else 0.0)
    return fallen


def merge_decision_spans(decision_spans: Iterable[DecisionSpan]) -> list[DecisionSpan]:
    """The same said of a symbol several times on end becomes one ruling. Oldest first, in and out."""
    merged: list[DecisionSpan] = []
    newest: dict[str, int] = {}
    for span in decision_spans:
        place = newest.get(span.symbol)
        before = merged[place] if place is not None else None
        if before and place is not None and _words(before) == _words(span):
            merged[place] = replace(before, until=span.until, count=before.count + span.count)
        else:
            newest[span.symbol] = len(merged)
            merged.append(span)
    return merged


def _words(span: DecisionSpan) -> tuple[str, str, str]:
    return span.decision, span.reason, span.outcome


# The stop


def stop_path(
    times: Sequence[float], closes: Sequence[float], entered: float, entry: float, atr: float, rule: StopRule
) -> list[StopMove]:
    """Where the stop stood from the moment `entered` on, as the closes after it moved it, until one of them hit it."""
    path = [StopMove(entered, rule.initial_stop(entry, atr))]
    steps = rule.advance_over(closes, path[0].stop, entry, entry, atr)
    for time, step in zip(times, steps, strict=False):
        if step.stop != path[-1].stop:
            path.append(StopMove(time, step.stop))
    return path
