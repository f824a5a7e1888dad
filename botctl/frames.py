"""Candles as a pandas DataFrame, and where numba keeps its cache while pandas-ta loads it."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botctl.domain.candles import Candle
from botctl.domain.errors import ConfigError

if TYPE_CHECKING:
    from pandas import DataFrame

USED = ("atr", "ema", "rsi")
"""What botctl calls of pandas-ta."""
CACHE = "NUMBA_CACHE_DIR"
TERMINATED = 128 + signal.SIGTERM
"""The code of the SystemExit by which SIGTERM ends a run."""


def candle_frame(candles: Sequence[Candle]) -> "DataFrame":
    """Columns open, high, low, close and volume as float64; the index `time` has the opening times, in UTC."""
    import numpy as np
    import pandas as pd

    values = np.array(candles, dtype=np.float64).reshape(len(candles), len(Candle._fields))
    times = pd.to_datetime(values[:, 0].astype(np.int64), unit="s", utc=True).rename("time")
    return pd.DataFrame(values[:, 1:], columns=list(Candle._fields[1:]), index=times)


def load_pandas_ta() -> Any:
    """The module pandas_ta: half a second when it is loaded first. Raises ConfigError for whatever its import raises:
    only another installation helps."""
    try:
        with cache_for_numba():
            import pandas_ta
        for name in USED:
            getattr(pandas_ta, name)
    except (OSError, MemoryError):  # this machine's, or the end of the tick's time
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code == TERMINATED:
            raise
        problem = f"the installation of botctl is broken: pandas_ta can't be loaded: {type(error).__name__}: {error}"
        raise ConfigError(problem, hint="install it again") from error
    return pandas_ta


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
        usable = folder.is_absolute()  # one of the working directory may be anybody's, who could put code into it
        if usable:
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
