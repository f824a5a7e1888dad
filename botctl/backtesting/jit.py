"""The one place that calls numba: pure functions on plain numbers, compiled as they stand.

Compiled code is kept between processes in a folder of the user's cache, named after the sources that went into it, so
that a changed rule is never served by yesterday's machine code.
"""

import hashlib
import os
from collections.abc import Callable, MutableSequence, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, Protocol, cast

from botctl.backtesting import engine, performance
from botctl.backtesting.engine import BacktestBuffers, BacktestParameters, MarketArrays, Table
from botctl.domain import indicators, stops


class Kernel(Protocol):
    """The functions that a backtest calls, compiled or not; each is documented where it is written."""

    def calculate_indicators(
        self,
        highs: Sequence[float],
        lows: Sequence[float],
        closes: Sequence[float],
        fast: int,
        slow: int,
        rsi_period: int,
        rsi_ceiling: float,
        atr_period: int,
        opinions: MutableSequence[int],
        atrs: MutableSequence[float],
        /,
    ) -> None: ...

    def decide(
        self,
        opinions: Sequence[int],
        sentiments: Sequence[int],
        buys: int,
        sells: int,
        decisions: MutableSequence[int],
        /,
    ) -> None: ...

    def play(
        self, history: MarketArrays, parameters: BacktestParameters, buffers: BacktestBuffers, /
    ) -> tuple[int, float, float]: ...

    def play_sets(
        self,
        history: MarketArrays,
        sets: Sequence[Sequence[float]],
        days: Sequence[int],
        buffers: BacktestBuffers,
        figures: Sequence[MutableSequence[float]],
        /,
    ) -> None: ...

    def find_exit(
        self,
        closes: Table[float],
        decisions: Table[int],
        symbol: int,
        entered: int,
        last: int,
        entry: float,
        atr: float,
        multiple: float,
        breakeven: float,
        /,
    ) -> tuple[int, int, float, float]: ...

    def truncate_to_lot(self, lots: float, /) -> float: ...

    def view(self, array: Any, /) -> Any:
        """An array as these functions like it: the same memory, read and written by both."""


COMPILE_ORDER = (
    (stops, ("initial_stop", "advance_stop")),
    (
        indicators,
        (
            "smooth",
            "fade",
            "true_range",
            "relative_strength",
            "opinion_of_valid_averages",
            "technical_opinion",
            "seed_average",
            "continue_indicators",
            "calculate_indicators",
        ),
    ),
    (performance, ("steady_ratio",)),
    (
        engine,
        (
            "find_exit",
            "find_exit_once",
            "truncate_to_lot",
            "proceeds",
            "order",
            "next_event",
            "value",
            "prefetch",
            "decide",
            "play",
            "play_sets",
        ),
    ),
)
"""What is compiled, in an order in which each function finds those that it calls."""
ENTRY_POINTS = frozenset({"calculate_indicators", "decide", "play", "play_sets", "steady_ratio"})
"""Functions that are called from outside. All others become part of those that call them: handing over what they are
given takes longer than what most of them do."""
FASTMATH = frozenset({"continue_indicators", "value"})
"""Functions whose figures are never NaN: told so, the compiler finds the least and the greatest of many at once, which
is the same figure in whatever order they are looked at."""


@cache
def compiled() -> Kernel:
    """Every function of COMPILE_ORDER, compiled when first called with new types."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))
    import numpy as np
    from numba import njit

    ready: dict[str, Callable[..., Any]] = {"unsigned_index": np.uintp}
    for module, names in COMPILE_ORDER:
        for name in names:
            liberties = {"nnan", "nsz"} if name in FASTMATH else False
            compile_it = njit(
                cache=True, nogil=True, fastmath=liberties, error_model="numpy", forceinline=name not in ENTRY_POINTS
            )
            ready[name] = compile_it(_seeing(getattr(module, name), ready))
    return cast(Kernel, SimpleNamespace(**ready, view=lambda array: array))


def interpreted() -> Kernel:
    """The same functions, uncompiled: for inputs so small that loading a compiler would take longer.

    `view` shows an array as plain Python likes it: the same memory, whose items are Python's own numbers.
    """
    functions = {name: getattr(module, name) for module, names in COMPILE_ORDER for name in names}
    return cast(Kernel, SimpleNamespace(**functions, view=memoryview))


def _seeing(function: FunctionType, compiled_ones: dict[str, Callable[..., Any]]) -> FunctionType:
    """The very same code, with the functions that it calls replaced by their compiled selves."""
    names = {**function.__globals__, **compiled_ones}
    clone = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    clone.__module__, clone.__qualname__ = function.__module__, function.__qualname__
    return clone


def cache_folder() -> Path:
    """Where compiled code is kept: one folder for each state of the sources."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for module, _ in COMPILE_ORDER:
        digest.update(Path(module.__file__ or "").read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "botctl" / "compiled" / digest.hexdigest()[:16]
