"""Simulates many sets of settings on one history: ranked on its first part, tested on the rest."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

from botctl.backtesting.backtest import build_arrays, build_scene, decision_bits, new_buffers, parameters_of
from botctl.backtesting.council.members import COMPILED, label_of
from botctl.backtesting.council.scene import DecisionSource
from botctl.backtesting.engine import BacktestBuffers, BacktestParameters, MarketArrays, resting_distance
from botctl.backtesting.jit import compiled
from botctl.backtesting.parameter_grid import EXIT_PARAMETERS, LIMITS, Axis, Point
from botctl.backtesting.results import SweepFigures
from botctl.backtesting.summary import last_bars_of_days
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.errors import BadValue, ConfigError
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.domain.sizing import Sizing
from botctl.market_data.timeline import align_histories

RENAMED_PARAMETERS = {"cooldown_minutes": "cooldown_seconds", "trade_amount_usd": "trade_amount"}
"""Settings with another name among the parameters of a run."""

RESTING_SETTINGS = ("exchange_stop", "exchange_stop_atr")


@dataclass(frozen=True)
class Score:
    """The performance of one set on the part it is ranked by, and on the part that follows, if there is one."""

    point: Point
    train: SweepFigures
    test: SweepFigures | None


class ParameterSet(NamedTuple):
    point: Point
    atr_period: int
    parameters: BacktestParameters
    exit_key: tuple[float, ...]
    """What its exits depend on: sets with the same key share cached exits. The ATR period alone where no two sets have
    an exit in common."""


@dataclass(frozen=True)
class Segment:
    arrays: MarketArrays
    buffers: BacktestBuffers
    day_ends: Any
    """The last bar of each day, counted from the first traded bar."""


class SweepRunner:
    """Simulates sets on the same candles. Only the newest decisions and exits are cached, so memory stays bounded."""

    def __init__(
        self,
        histories: Sequence[CandleColumns],
        base: Mapping[str, str],
        sentiment: SentimentSeries,
        axes: Sequence[Axis],
        train: float,
        since: datetime | None = None,
        until: datetime | None = None,
        council: DecisionSource | None = None,
    ) -> None:
        """All sets are judged on the same bars: those from the warm-up of the longest ATR period on. `council` decides
        in place of the compiled agents.

        Raises ConfigError for invalid settings, BadValue for histories that don't fit together or are too short, and
        for a Council that must be asked bar by bar.
        """
        self.histories = histories
        self.sentiment = sentiment
        self.axes = axes
        self.train = train
        self.span = since, until
        self.kernel = compiled()
        settings = parse_settings(base)
        self._atr_period, self._parameters = settings.atr_period, parameters_of(settings)
        self._bits = decision_bits(settings.council_rule, settings.council)
        self._changes = [[_change(base, axis.name, value) for value in axis.values] for axis in axes]
        periods = [change["atr_period"] for values in self._changes for change in values if "atr_period" in change]
        longest = int(max(periods, default=settings.atr_period))
        stops = [change["exchange_stop"] for values in self._changes for change in values if "exchange_stop" in change]
        self._resting_stops = max(stops, default=self._parameters.exchange_stop) > 0
        if not self._resting_stops and any(axis.name == "exchange_stop_atr" for axis in axes):
            raise ConfigError("exchange_stop_atr changes nothing with EXCHANGE_STOP=off", hint="add --exchange-stop")
        self._signal_seconds = settings.signal_seconds
        self._timeline = align_histories(histories, longest, since, until, self._signal_seconds)
        self._decisions = None if council is None else self._decide(council)
        self._label = label_of(settings) if council is None else council.label
        self._segments_cache: tuple[int, list[Segment]] = (0, [])
        self._cached_exit_key: tuple[float, ...] = ()
        self._allocation = settings.allocation
        swept = {axis.name for axis in axes}
        self._share_exits = not swept <= {*EXIT_PARAMETERS} and settings.size_rule.is_plain and swept.isdisjoint(LIMITS)
        """Whether some sets have exits in common. A size by the equity is another one for each set: its lots move the
        entry price."""

    def _decide(self, council: DecisionSource) -> Any:
        """The decisions at all bars, which are those of every set."""
        decided = council.prepare(build_scene(self.kernel, self._timeline, self.histories, self.sentiment))
        if decided is None:
            raise BadValue(
                f"a sweep can't ask {council.label} again for each set, and its answers may depend on the open trade",
                hint="try single sets with `botctl backtest`, or give the agents judge_history",
            )
        return decided.table

    def clone(self) -> "SweepRunner":
        """A runner for another thread: it shares the histories and has its own buffers."""
        other = copy(self)
        other._segments_cache, other._cached_exit_key = (0, []), ()
        return other

    def study_parameters(self) -> dict[str, Any]:
        """What machines of one study must have in common; base values of swept settings are left out."""
        settings = {**self._parameters._asdict(), "atr_period": self._atr_period}
        swept = {name for values in self._changes for change in values for name in change}
        if not self._resting_stops:  # older studies know nothing of them
            settings = {name: value for name, value in settings.items() if name not in RESTING_SETTINGS}
        decisions = () if self._decisions is None else (sha256(self._decisions.tobytes()).hexdigest(),)
        council = {} if self._label == ", ".join(COMPILED) else {"council": [self._label, *decisions]}
        return {
            **council,
            "grid": {axis.name: list(axis.values) for axis in self.axes},
            "candles": [_fingerprint(history) for history in self.histories],
            "span": [moment and moment.isoformat() for moment in self.span],
            "mood": _sentiment_fingerprint(self.sentiment),
            "settings": {name: value for name, value in settings.items() if name not in swept},
            "allocation": str(self._allocation or ""),
            "train": self.train,
            **({"signal_seconds": self._signal_seconds} if self._signal_seconds else {}),  # absent in older studies
        }

    def score(self, point: Point) -> Score:
        return self.score_all([point])[0]

    def score_all(self, points: Sequence[Point]) -> list[Score]:
        """The scores of several points, those that share exits in one call of compiled code."""
        groups = groupby(map(self._set_at, points), key=lambda each: each.exit_key)
        return [score for _, group in groups for score in self._score_group(list(group))]

    def _score_group(self, sets: Sequence[ParameterSet]) -> list[Score]:
        segments = self._segments(sets[0].atr_period)
        self._clear_exits(segments, sets[0].exit_key)
        figures = [self._simulate(segment, [each.parameters for each in sets]) for segment in segments]
        tests = figures[1] if len(segments) > 1 else [None] * len(sets)
        return [Score(each.point, train, test) for each, train, test in zip(sets, figures[0], tests, strict=True)]

    def _set_at(self, point: Point) -> ParameterSet:
        changes: dict[str, float] = {}
        for values, index in zip(self._changes, point, strict=True):
            changes |= values[index]
        period = int(changes.pop("atr_period", self._atr_period))
        parameters = self._parameters._replace(**changes)  # type: ignore[arg-type]
        shared = (
            parameters.trade_amount, parameters.atr_multiple, parameters.breakeven_atr, parameters.breakeven_fees,
            resting_distance(parameters),
        )  # fmt: skip
        return ParameterSet(point, period, parameters, (period, *shared) if self._share_exits else (period,))

    def _segments(self, atr_period: int) -> list[Segment]:
        """The train part, and the test part that follows it."""
        if self._segments_cache[0] != atr_period:
            wanted = atr_period, self._bits, self._allocation
            arrays = build_arrays(
                self.kernel, self._timeline, self.histories, self.sentiment, *wanted, resting_stops=self._resting_stops
            )
            if self._decisions is not None:
                arrays = arrays._replace(decisions=self.kernel.view(self._decisions))
            split = arrays.first + int((arrays.last - arrays.first + 1) * self.train)
            spans = [(arrays.first, arrays.last)]
            if arrays.first < split < arrays.last:
                spans = [(arrays.first, split - 1), (split, arrays.last)]
            segments = [self._segment(arrays._replace(first=first, last=last)) for first, last in spans]
            self._segments_cache = atr_period, segments
        return self._segments_cache[1]

    def _segment(self, arrays: MarketArrays) -> Segment:
        import numpy as np

        times = np.asarray(arrays.times)[arrays.first : arrays.last + 1]
        day_ends = last_bars_of_days(times)
        symbols, bars = len(self.histories), len(arrays.times)
        caches = {"cache_exits": self._share_exits, "resting_stops": self._resting_stops}
        return Segment(arrays, new_buffers(self.kernel, symbols, bars, **caches), day_ends)

    def _clear_exits(self, segments: Sequence[Segment], exit_key: tuple[float, ...]) -> None:
        """Cached exits are valid until a parameter changes that they depend on."""
        if exit_key != self._cached_exit_key:
            for segment in segments:
                segment.buffers.exit_cache.fill(0)  # type: ignore[attr-defined]
            self._cached_exit_key = exit_key

    def _simulate(self, segment: Segment, sets: Sequence[BacktestParameters]) -> list[SweepFigures]:
        import numpy as np

        rows: Any = np.array(sets, dtype=float)
        figures: Any = np.empty((len(sets), 4))
        self.kernel.simulate_sets(segment.arrays, rows, segment.day_ends, segment.buffers, figures)
        return [
            SweepFigures(int(trades), returned, drawdown, None if sharpe != sharpe else sharpe)
            for trades, returned, drawdown, sharpe in figures.tolist()
        ]


def _change(base: Mapping[str, str], name: str, value: str) -> dict[str, float]:
    """What one value of one setting changes among the parameters of a run."""
    settings = parse_settings({**base, name.upper(): value})
    by_risk = settings.sizing is Sizing.RISK
    if name == ("trade_amount_usd" if by_risk else "risk_per_trade"):
        raise ConfigError(f"{name} changes nothing with SIZING={settings.sizing}", hint="leave it out of --grid")
    if name == "atr_period":
        return {"atr_period": settings.atr_period}
    parameter = RENAMED_PARAMETERS.get(name, name)
    return {parameter: getattr(parameters_of(settings), parameter)}


def _fingerprint(history: CandleColumns) -> list[Any]:
    span = [len(history.times), int(history.times[0]), int(history.times[-1])]
    return [history.symbol, *span, _digest(history.times, *history.values)]


def _sentiment_fingerprint(sentiment: SentimentSeries) -> list[Any]:
    if isinstance(sentiment, FixedSentiment):
        return [str(sentiment.stance)]
    span = [len(sentiment.measured), int(sentiment.measured[0]), int(sentiment.measured[-1])]
    return [*span, _digest(sentiment.measured, sentiment.indices)]


def _digest(*columns: Sequence[float]) -> str:
    """A hash of every number, so that two machines of a study have the very same ones."""
    import numpy as np

    digest = sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column, dtype=float).tobytes())
    return digest.hexdigest()[:32]
