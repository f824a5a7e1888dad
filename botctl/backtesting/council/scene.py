"""What is known of a history when its decisions are made, and what comes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from botctl.backtesting.engine import BacktestParameters, MarketArrays
from botctl.backtesting.exits import BUY, HOLD, SELL
from botctl.domain.candles import CandleColumns
from botctl.domain.decisions import Action
from botctl.domain.sentiment import SentimentSeries
from botctl.market_data.timeline import Timeline
from botctl.ports import Progress

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

NUMBERS = {Action.HOLD: HOLD, Action.BUY: BUY, Action.SELL: SELL}
"""Decisions as the engine has them."""


@dataclass(frozen=True)
class Scene:
    histories: Sequence[CandleColumns]
    timeline: Timeline
    sentiment: SentimentSeries
    signals: Sequence[CandleColumns]
    """By symbol: the candles that agents judge."""
    places: "Sequence[Array]"
    """By symbol and bar: the index, in its signals, of the newest candle that has closed; -1 before the first."""
    silent: "Sequence[Array]"
    """By symbol and bar: whether the Council does not sit, because no such candle has closed."""
    opinions: "Callable[[], Sequence[Array]]"
    """By symbol, after each of these candles: the technical agent's opinion, as a key of TECHNICAL_STANCES."""
    moods: "Array"
    """At each bar: the sentiment agent's stance, as its index in SENTIMENT_STANCES."""


@dataclass(frozen=True)
class Decided:
    table: "Array"
    """The decision on each symbol (row) at each bar, as `no_decisions` has them; HOLD where nobody was asked."""
    errors: list[str] = field(default_factory=list)
    """Each kind of failure of an agent or a program once. Where one failed, it was HOLD or UNKNOWN, as in a tick."""
    trades: list[tuple[int, int, int, int]] | None = None
    """The trades that those who were asked bar by bar were told of: symbol, entry, exit and ending."""


def no_decisions(symbols: int, bars: int) -> "Array":
    """HOLD throughout; one bar longer, with BUY there, as the engine wants it."""
    import numpy as np

    table = np.full((symbols, bars + 1), HOLD, np.int8)
    table[:, bars] = BUY
    return table


class DecisionSource(Protocol):
    """Who decides in a backtest, in place of the compiled Council."""

    @property
    def label(self) -> str:
        """Who they are, for people."""

    def prepare(self, scene: Scene) -> Decided | None:
        """The decisions at all bars of the timeline where they depend on prices and time alone; None where the Council
        must be asked bar by bar. Raises BotError."""

    def ask(self, scene: Scene, arrays: MarketArrays, parameters: BacktestParameters, progress: Progress) -> Decided:
        """The decisions at the bars to trade, asked in the order of the ticks. Raises BotError."""
