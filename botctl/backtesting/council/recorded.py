"""Decisions that a database has recorded, traded again."""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from botctl.backtesting.council.scene import NUMBERS, Decided, Scene, no_decisions
from botctl.backtesting.engine import BacktestParameters, MarketArrays
from botctl.domain.candles import from_unix, to_unix
from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.errors import BadValue, ConfigError
from botctl.market_data.timeline import Timeline
from botctl.ports import Clock, Progress
from botctl.store.fields import parse_moment
from botctl.store.location import BUSY_SECONDS
from botctl.store.sqlite import explain, open_read_only

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

SQLITE_HEADER = b"SQLite format 3\0"
ACTIONS = {number: action for action, number in NUMBERS.items()}


class RecordedDecision(NamedTuple):
    symbol: str
    at: int
    """In unix seconds."""
    action: Action


def read_decisions(path: Path) -> list[RecordedDecision]:
    """All decisions of a database of any mode, oldest first; nothing is written. Raises ConfigError or BadValue."""
    if not path.is_file():
        hint = "name the database's file; `botctl db copy` makes one of a database on a server"
        raise BadValue(f"--decisions {path} is not a file", hint=hint)
    try:
        with open_read_only(path, BUSY_SECONDS) as database:
            rows = database.execute("SELECT symbol, decided_at, decision FROM decision ORDER BY decided_at, id")
            return [*_parse(rows.fetchall())]
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise BadValue(
                f"--decisions {path} is not a database of botctl", hint="name one, such as data/live.db"
            ) from error
        raise explain(error, path) from error
    except sqlite3.Error as error:
        if not is_sqlite(path):  # to call it damaged would send its owner to `recover`
            raise BadValue(f"--decisions {path} is not a database", hint="name one, such as data/live.db") from error
        raise explain(error, path) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a decision in {path} can't be read: {error}", hint="see `botctl db check`") from error


def is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER


def _parse(rows: Sequence[tuple[str, str, str]]) -> Iterator[RecordedDecision]:
    for symbol, moment, decision in rows:
        yield RecordedDecision(symbol, to_unix(parse_moment(moment)), Action(decision))


@dataclass
class RecordedCouncil:
    """A bar gets the first decision that was made from its close on, within one candle; a bar without one is HOLD."""

    name: str
    decisions: Sequence[RecordedDecision]
    used: int = 0

    @property
    def label(self) -> str:
        return f"decisions of {self.name} ({self.used:,} used, {len(self.decisions) - self.used:,} not)"

    def prepare(self, scene: Scene) -> Decided:
        return Decided(self.fill(scene.timeline))

    def ask(self, scene: Scene, arrays: MarketArrays, parameters: BacktestParameters, progress: Progress) -> Decided:
        return self.prepare(scene)

    def fill(self, timeline: Timeline) -> "Array":
        """The decisions at all bars; one bar longer, as the engine wants. Counts those used at the bars to trade.

        Raises BadValue when there are none.
        """
        times = timeline.times.tolist()
        table = no_decisions(len(timeline.symbols), len(times))
        numbers = {symbol: number for number, symbol in enumerate(timeline.symbols)}
        taken: set[tuple[int, int]] = set()
        for symbol, at, action in self.decisions:
            bar = bisect_right(times, at) - 1
            if symbol not in numbers or bar < 0 or at - times[bar] >= timeline.seconds:
                continue
            if (place := (numbers[symbol], bar)) not in taken:
                taken.add(place)
                table[place] = NUMBERS[action]
        self.used = sum(timeline.first <= bar <= timeline.last for _, bar in taken)
        if not self.used:
            raise BadValue(
                f"no decision of {self.name} is of these candles: {self._span()}",
                hint="give candles of that time, or another database",
            )
        return table

    def _span(self) -> str:
        if not self.decisions:
            return "it has none"
        symbols = ", ".join(sorted({decision.symbol for decision in self.decisions}))
        first, last = (f"{from_unix(self.decisions[at].at):%Y-%m-%d}" for at in (0, -1))
        return f"it has those of {symbols}, {first} to {last}"


@dataclass(frozen=True)
class RecordedDecider:
    """The same decisions for a replay: it sits in the Council of a bot."""

    table: "Array"
    timeline: Timeline
    clock: Clock

    def check_members(self) -> None:
        """Nobody is missing."""

    def decide(self, symbol: str, _snapshot: object) -> CouncilDecision:
        bar = int(self.timeline.times.searchsorted(to_unix(self.clock.now())))
        action = ACTIONS[int(self.table[self.timeline.symbols.index(symbol), bar])]
        return CouncilDecision(symbol, action, "as recorded")
