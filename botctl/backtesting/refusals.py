"""Why entries that the Council wanted were not made, counted by bars once a run is over.

The engine only trades; asking why it did not would make it slower. The conditions are its own, in the order of a tick.
"""

from typing import TYPE_CHECKING, Any

from botctl.backtesting.engine import BacktestBuffers, BacktestParameters, MarketArrays
from botctl.backtesting.exits import BUY
from botctl.backtesting.results import Refusals
from botctl.domain.stops import MAX_ENTRY_JUMP, covers_costs, initial_stop

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]


def count_refusals(
    arrays: MarketArrays, parameters: BacktestParameters, buffers: BacktestBuffers, trades: int, tripped: int
) -> Refusals:
    """The bars at which the Council said BUY of what was not held, and nothing was bought, by the first reason.

    `trades` is how many the run has made, `tripped` the bar at which the drawdown guard tripped.
    """
    import numpy as np

    symbols, entries, exits = (np.asarray(each)[:trades] for each in (buffers.symbols, buffers.entries, buffers.exits))
    times, room = np.asarray(arrays.times), _OpenTrades(entries, exits, arrays.last + 2)
    counts = {"after_guard": 0, "cooldown": 0, "no_room": 0, "no_stop": 0, "no_cash": 0}
    for symbol in range(len(arrays.shares)):
        own = symbols == symbol
        bars = np.flatnonzero(np.asarray(arrays.decisions)[symbol, : arrays.last + 1] == BUY)
        bars = bars[bars >= arrays.first]
        before = np.searchsorted(entries[own], bars, side="right") - 1
        ended = np.append(exits[own], 0)[before]  # without an earlier trade the last one, zero
        bars, ended, before = (each[(before < 0) | (ended <= bars)] for each in (bars, ended, before))
        cooling = (before >= 0) & (times[bars] - times[ended] < parameters.cooldown_seconds)
        reasons = {
            "after_guard": bars >= tripped,
            "cooldown": cooling,
            "no_room": room.before(entries[own], bars) >= parameters.max_open_trades,
            "no_stop": ~_can_be_stopped(arrays, parameters, symbol, bars),
            "no_cash": np.ones(len(bars), bool),
        }
        left = np.ones(len(bars), bool)
        for name, holds in reasons.items():
            counts[name] += int(np.sum(left & holds))
            left &= ~holds
    return Refusals(**counts)


class _OpenTrades:
    """How many trades are open when the turn of a symbol comes at a bar; the symbols come in their order."""

    def __init__(self, entries: "Array", exits: "Array", bars: int) -> None:
        import numpy as np

        self._entered = np.bincount(entries, minlength=bars)
        self._open = np.cumsum(self._entered - np.bincount(exits, minlength=bars)) - self._entered
        self._earlier = np.zeros(bars, np.int64)

    def before(self, entries: "Array", bars: "Array") -> "Array":
        """At these bars; `entries` are those of the symbol whose turn it is."""
        import numpy as np

        count = self._open[bars] + self._earlier[bars]
        np.add.at(self._earlier, entries, 1)
        return count


def _can_be_stopped(arrays: MarketArrays, parameters: BacktestParameters, symbol: int, bars: "Array") -> "Array":
    """`engine.can_be_stopped` for many bars at once."""
    import numpy as np

    asks, closes, atrs = (np.asarray(each)[symbol, bars] for each in (arrays.fills, arrays.closes, arrays.atrs))
    stops: Any = initial_stop(asks, atrs, parameters.atr_multiple)
    near = (closes <= MAX_ENTRY_JUMP * asks) & (asks <= MAX_ENTRY_JUMP * closes)
    far = covers_costs(asks, stops, parameters.fee_rate, parameters.min_stop_costs)
    guarded: Array = (stops > 0.0) & (stops < asks) & (atrs >= 1e-9 * closes) & near & far
    return guarded
