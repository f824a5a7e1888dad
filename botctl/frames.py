"""Candles as a pandas DataFrame, and where numba keeps its cache while pandas-ta loads it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botctl.domain.candles import Candle

if TYPE_CHECKING:
    from pandas import DataFrame

CACHE = "NUMBA_CACHE_DIR"


def candle_frame(candles: Sequence[Candle]) -> "DataFrame":
    """Columns open, high, low, close and volume as float64; the index `time` has the opening times, in UTC."""
    import numpy as np
    import pandas as pd

    values = np.array(candles, dtype=np.float64).reshape(len(candles), len(Candle._fields))
    times = pd.to_datetime(values[:, 0].astype(np.int64), unit="s", utc=True).rename("time")
    return pd.DataFrame(values[:, 1:], columns=list(Candle._fields[1:]), index=times)


@contextmanager
def cache_for_numba() -> Iterator[None]:
    """Around `import pandas_ta`: numba, which it loads, must find a folder that it can write to.

    A service may have neither a home nor the right to write to the installation, and the import would fail.
    """
    if CACHE in os.environ or "numba" in sys.modules:
        yield
        return
    os.environ[CACHE] = str(_cache_folder())
    try:
        yield
    finally:
        del os.environ[CACHE]  # what botctl compiles itself has a folder of its own


def _cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "botctl" / "pandas-ta"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if usable:
        return folder
    import atexit
    import shutil
    import tempfile

    private = tempfile.mkdtemp(prefix="botctl-")  # nobody else can put code into it
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)
