"""Tries many sets of settings on one history: judged on its first part, shown on the rest, which they never saw."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from zlib import crc32

from botctl.backtesting.backtest import new_buffers, parameters_of, read_histories
from botctl.backtesting.engine import BacktestBuffers, BacktestParameters, MarketArrays
from botctl.backtesting.jit import compiled
from botctl.backtesting.parameter_grid import Axis, Point
from botctl.backtesting.results import SweepFigures
from botctl.backtesting.summary import DAY
from botctl.domain.candles import CandleColumns
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.domain.settings import parse_settings
from botctl.market_data.timeline import align_histories

PARAMETER_OF = {
    "atr_multiple": "atr_multiple",
    "breakeven_atr": "breakeven_atr",
    "cooldown_minutes": "cooldown_seconds",
    "max_open_trades": "max_open_trades",
    "trade_amount_usd": "trade_amount",
    "max_drawdown": "max_drawdown",
}
"""What swept settings are called among the terms of a run."""
EXIT_AXES = frozenset({"atr_period", "atr_multiple", "breakeven_atr", "trade_amount_usd"})
"""What an exit depends on, besides the bar of its entry: the amount by the last digits of the entry price."""


@dataclass(frozen=True)
class Score:
    """How one set did on the part it is judged by, and on the part that follows; None without such a part."""

    point: Point
    train: SweepFigures
    test: SweepFigures | None


class SweepRunner:
    """Plays one set after the other over the same candles. What sets share is worked out once: the Council's
    decisions and the ATR for all of one ATR period, the exits for all that have the exit's settings in common. Only the
    newest of each are kept, so memory does not grow with the number of sets."""

    def __init__(
        self,
        histories: Sequence[CandleColumns],
        base: Mapping[str, str],
        sentiment: SentimentSeries,
        axes: Sequence[Axis],
        train: float,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        """Raises ConfigError for values that are none of their settings'."""
        self.histories = histories
        self.sentiment = sentiment
        self.axes = axes
        self.train = train
        self.span = since, until
        self.kernel = compiled()
        settings = parse_settings(base)
        self._atr_period, self._terms = settings.atr_period, parameters_of(settings)
        self._changes = [[_change(base, axis.name, value) for value in axis.values] for axis in axes]
        self._parts_of: tuple[int, list[Segment]] = (0, [])
        self._exits_of: tuple[float, ...] = ()
        self._once = {axis.name for axis in axes} <= EXIT_AXES
        """Whether no two sets have an exit in common."""

    def clone(self) -> "SweepRunner":
        """One more of the same, to play beside it: they share the histories and write down apart."""
        other = copy(self)
        other._parts_of, other._exits_of = (0, []), ()
        return other

    def parameters_in_words(self) -> dict[str, Any]:
        """What machines must have in common to work on one study; what swept settings are elsewhere plays no part."""
        settings = {**self._terms._asdict(), "atr_period": self._atr_period}
        swept = {name for values in self._changes for change in values for name in change}
        return {
            "grid": {axis.name: list(axis.values) for axis in self.axes},
            "candles": [_fingerprint(history) for history in self.histories],
            "span": [moment and moment.isoformat() for moment in self.span],
            "mood": _sentiment_in_words(self.sentiment),
            "settings": {name: value for name, value in settings.items() if name not in swept},
            "train": self.train,
        }

    def score(self, point: Point) -> Score:
        """How the set at this point of the grid does."""
        return self.score_all([point])[0]

    def score_all(self, points: Sequence[Point]) -> list[Score]:
        """The same for several points, those that share an ATR and its exits in one call."""
        sets = map(self._set_at, points)
        return [
            score
            for _, alike in groupby(sets, key=lambda one: one.exits_of)
            for score in self._score_alike(list(alike))
        ]

    def _score_alike(self, sets: "Sequence[ParameterSet]") -> list[Score]:
        """The scores of sets that share an ATR and its exits."""
        segments = self._segments(sets[0].atr_period)
        self._forget_exits(segments, sets[0].exits_of)
        figures_of = [self._play(segment, [one.parameters for one in sets]) for segment in segments]
        tests = figures_of[1] if len(segments) > 1 else [None] * len(sets)
        return [Score(one.point, train, test) for one, train, test in zip(sets, figures_of[0], tests, strict=True)]

    def _set_at(self, point: Point) -> "ParameterSet":
        changes: dict[str, float] = {}
        for values, place in zip(self._changes, point, strict=True):
            changes |= values[place]
        period = int(changes.pop("atr_period", self._atr_period))
        parameters = self._terms._replace(**changes)  # type: ignore[arg-type]
        exits_of = () if self._once else (parameters.trade_amount, parameters.atr_multiple, parameters.breakeven_atr)
        return ParameterSet(point, period, parameters, (period, *exits_of))

    def _segments(self, atr_period: int) -> list["Segment"]:
        """The part to judge by and the part to show, which begins where the first ends."""
        if self._parts_of[0] != atr_period:
            grid = align_histories(self.histories, atr_period, *self.span)
            known = read_histories(self.kernel, grid, self.histories, self.sentiment, atr_period)
            split = known.first + int((known.last - known.first + 1) * self.train)
            spans = [(known.first, known.last)]
            if known.first < split < known.last:
                spans = [(known.first, split - 1), (split, known.last)]
            self._parts_of = atr_period, [self._segment(known._replace(first=a, last=z)) for a, z in spans]
        return self._parts_of[1]

    def _segment(self, known: MarketArrays) -> "Segment":
        import numpy as np

        times = np.asarray(known.times)[known.first : known.last + 1]
        days = np.append(np.flatnonzero(np.diff(times // DAY)), len(times) - 1)
        return Segment(known, new_buffers(self.kernel, len(self.histories), len(known.times), once=self._once), days)

    def _forget_exits(self, segments: Sequence["Segment"], exits_of: tuple[float, ...]) -> None:
        """Exits found before stay good as long as nothing changes that an exit depends on."""
        if exits_of != self._exits_of:
            for segment in segments:
                segment.buffers.known.fill(0)  # type: ignore[attr-defined]
            self._exits_of = exits_of

    def _play(self, segment: "Segment", sets: Sequence[BacktestParameters]) -> list[SweepFigures]:
        import numpy as np

        rows: Any = np.array(sets, dtype=float)
        figures: Any = np.empty((len(sets), 4))
        self.kernel.play_sets(segment.known, rows, segment.days, segment.buffers, figures)
        return [
            SweepFigures(int(trades), returned, fall, None if ratio != ratio else ratio)
            for trades, returned, fall, ratio in figures.tolist()
        ]


class ParameterSet(NamedTuple):
    """The set of settings at one point of the grid."""

    point: Point
    atr_period: int
    parameters: BacktestParameters
    exits_of: tuple[float, ...]
    """What its exits depend on: sets that are alike in it share what was found of them. The ATR's period alone where no
    two sets have an exit in common."""


@dataclass(frozen=True)
class Segment:
    """A stretch of history, with what was found out about it."""

    known: MarketArrays
    buffers: BacktestBuffers
    days: Any
    """The bars at which its days end, counted from its first bar."""


def _change(base: Mapping[str, str], name: str, value: str) -> dict[str, float]:
    """What one value of one setting changes in the terms of a run."""
    settings = parse_settings({**base, name.upper(): value})
    if name == "atr_period":
        return {"atr_period": settings.atr_period}
    return {PARAMETER_OF[name]: getattr(parameters_of(settings), PARAMETER_OF[name])}


def _fingerprint(history: CandleColumns) -> list[Any]:
    """What tells one history from another, in a few words."""
    import numpy as np

    closes = np.ascontiguousarray(history.closes, dtype=float)
    return [history.symbol, len(closes), int(history.times[0]), int(history.times[-1]), crc32(closes.tobytes())]


def _sentiment_in_words(sentiment: SentimentSeries) -> list[Any]:
    if isinstance(sentiment, FixedSentiment):
        return [str(sentiment.stance)]
    return [len(sentiment.measured), int(sentiment.measured[0]), int(sentiment.measured[-1])]
