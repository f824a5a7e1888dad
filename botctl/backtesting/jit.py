"""The one place that calls numba: pure functions on plain numbers, compiled unchanged.

Compiled code is cached between processes in the user's cache folder, by a digest of its sources, so that a changed rule
never runs old machine code.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from botctl.backtesting import engine, equity_curve, exits, performance, sales
from botctl.domain import indicators, sizing, stops

log = logging.getLogger(__name__)


class Kernel:
    """The functions that a backtest calls, uncompiled; an instance of `compiled` has the compiled ones instead."""

    calculate_indicators = staticmethod(indicators.calculate_indicators)
    decide = staticmethod(engine.decide)
    simulate = staticmethod(engine.simulate)
    simulate_sets = staticmethod(engine.simulate_sets)
    find_exit = staticmethod(exits.find_exit)
    truncate_to_lot = staticmethod(exits.truncate_to_lot)

    def __init__(self, view: Callable[[Any], Any], **functions: Callable[..., Any]) -> None:
        """`view` gives an array in the form that the functions are fastest with; both share their memory."""
        self.view = view
        vars(self).update(functions)


COMPILE_ORDER = (
    (stops, "initial_stop advance_stop break_even_price covers_costs is_entry_price resting_trigger exit_at_resting"),
    (sizing, "unit_loss risk_budget room_below cash_budget round_down entry_budget compounded"),
    (indicators, "smooth wilder_sum true_range relative_strength opinion_of_valid_averages technical_opinion"),
    (indicators, "seed_average continue_indicators calculate_indicators"),
    (performance, "sharpe_of_curve"),
    (exits, "truncate_to_lot cut_price find_exit"),
    (sales, "sale_proceeds sell_rested sell_due sell_all"),
    (engine, "resting_distance find_cached_exit break_even_of"),
    (equity_curve, "begin_tracking worth_at write_equity look_before_orders write_equity_after_orders"),
    (engine, "can_be_stopped has_limits size_by_equity size_order next_event"),
    (engine, "begin_without_trades cools_down prefetch"),
    (engine, "decide simulate simulate_sets"),
)
"""What is compiled: each function after those that it calls."""
ENTRY_POINTS = frozenset({"calculate_indicators", "decide", "simulate", "simulate_sets", "sharpe_of_curve"})
"""Functions that are called from outside. All others are inlined: passing arguments costs more than their work."""
RARELY_CALLED = frozenset({"size_by_equity"})
"""Functions that a usual run never calls. Inlined they make `simulate` a seventh slower."""
FASTMATH = frozenset({"continue_indicators", "write_equity"})
"""Functions whose numbers are never NaN: knowing that, the compiler takes minimum and maximum of many at once."""


@cache
def compiled() -> Kernel:
    """Every function of COMPILE_ORDER, compiled when first called with new types."""
    cache_is_usable = _make_folder(Path(os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))))
    import numpy as np
    from numba import config, njit

    config.reload_config()  # pandas-ta may have loaded numba before the folder was set
    ready: dict[str, Callable[..., Any]] = {"unsigned_index": np.uintp}
    for module, names in COMPILE_ORDER:
        for name in names.split():
            fastmath = {"nnan", "nsz"} if name in FASTMATH else False
            compile_it = njit(
                cache=cache_is_usable, nogil=True, fastmath=fastmath, error_model="numpy",
                forceinline=name not in ENTRY_POINTS | RARELY_CALLED,
            )  # fmt: skip
            ready[name] = compile_it(_with_globals(getattr(module, name), ready))
    return Kernel(lambda array: array, **ready)


def interpreted() -> Kernel:
    """The same functions, uncompiled, for small inputs; a memoryview's numbers are faster here than numpy's."""
    return Kernel(memoryview)


def _with_globals(function: FunctionType, replacements: dict[str, Callable[..., Any]]) -> FunctionType:
    """The same code, calling `replacements` instead of the module's own functions."""
    names = {**function.__globals__, **replacements}
    clone = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    clone.__module__, clone.__qualname__ = function.__module__, function.__qualname__
    return clone


def _make_folder(folder: Path) -> bool:
    """Whether compiled code can be kept there. Without a place numba would refuse to compile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        log.warning("can't write %s: each run compiles again, which takes a few seconds", folder)
    return usable


def cache_folder() -> Path:
    """The folder of compiled code, one for each state of the sources."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for module, _ in COMPILE_ORDER:
        digest.update(Path(module.__file__ or "").read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return root / "botctl" / "compiled" / digest.hexdigest()[:16]
