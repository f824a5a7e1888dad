"""Tries many sets of settings on one history: judged on its first part, shown on the rest, which they never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botctl.domain.candles import CandleColumns
from botctl.domain.grid import Axis, Point, values_at
from botctl.domain.moods import Mood
from botctl.domain.performance import daily_returns, sharpe_ratio
from botctl.domain.playback import History
from botctl.domain.settings import Settings, parse_settings
from botctl.market.compiled import compiled
from botctl.market.timeline import Grid, line_up
from botctl.services.backtest import new_book, read_histories, terms_of
from botctl.services.summary import DAY


@dataclass(frozen=True)
class Figures:
    """How one set did on one part of the history. Fractions are fractions."""

    trades: int
    returned: float
    max_drawdown: float
    sharpe: float | None


@dataclass(frozen=True)
class Score:
    """How one set did on the part it is judged by, and on the part that follows; None without such a part."""

    point: Point
    train: Figures
    test: Figures | None


class Trial:
    """Plays one set after the other over the same candles. What sets share is worked out once: the Council's
    decisions for all of them, the ATR for each of its periods, the exits for all that have the exit's settings in
    common. Memory does not grow with the number of sets."""

    def __init__(self, histories: Sequence[CandleColumns], base: Mapping[str, str], mood: Mood, train: float) -> None:
        self.histories = histories
        self.base = base
        self.mood = mood
        self.train = train
        self.code = compiled()
        self._known: dict[int, tuple[Grid, History]] = {}
        self._books: list[Any] = []
        self._exits_of: tuple[Any, ...] = ()

    def score(self, axes: Sequence[Axis], point: Point) -> Score:
        """Raises ConfigError for values that are none of their settings'."""
        changes = {name.upper(): value for name, value in values_at(axes, point).items()}
        settings = parse_settings({**self.base, **changes})
        known = self._history(settings.atr_period)
        parts = self._parts(known)
        self._forget_exits(settings, len(parts))
        figures = [self._play(number, part, settings) for number, part in enumerate(parts)]
        return Score(point, figures[0], figures[1] if len(figures) > 1 else None)

    def _history(self, atr_period: int) -> History:
        if atr_period not in self._known:
            grid = line_up(self.histories, atr_period, None, None)
            self._known[atr_period] = (grid, read_histories(self.code, grid, self.histories, self.mood, atr_period))
        return self._known[atr_period][1]

    def _parts(self, known: History) -> list[History]:
        """The part to judge by and the part to show, of which the second begins where the first ends."""
        split = known.first + int((known.last - known.first + 1) * self.train)
        if split >= known.last:
            return [known]
        return [known._replace(last=split - 1), known._replace(first=split)]

    def _forget_exits(self, settings: Settings, parts: int) -> None:
        """Exits found before stay good as long as nothing changes that an exit depends on."""
        exits_of = (settings.atr_period, settings.atr_multiple, settings.breakeven_atr, settings.slippage)
        bars = len(self._known[settings.atr_period][1].times)
        while len(self._books) < parts:
            self._books.append(new_book(self.code, len(self.histories), bars))
        if exits_of != self._exits_of:
            for book in self._books:
                book.known.fill(0)
            self._exits_of = exits_of

    def _play(self, number: int, part: History, settings: Settings) -> Figures:
        import numpy as np

        book, terms = self._books[number], terms_of(settings)
        count, _, _ = self.code.play(part, terms, book)
        curve = book.equity[part.first : part.last + 1]
        days = np.flatnonzero(np.diff(np.asarray(part.times[part.first : part.last + 1]) // DAY))
        daily = [terms.cash, *curve[days].tolist(), float(curve[-1])]
        return Figures(
            trades=int(count),
            returned=float(curve[-1]) / terms.cash - 1.0,
            max_drawdown=float(self.code.deepest_fall(curve)),
            sharpe=sharpe_ratio(daily_returns(daily)),
        )
