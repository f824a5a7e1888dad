"""Candles as a pandas DataFrame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botctl.domain.candles import Candle

if TYPE_CHECKING:
    from pandas import DataFrame


def candle_frame(candles: Sequence[Candle]) -> "DataFrame":
    """Columns open, high, low, close and volume as float64; the index `time` has the opening times, in UTC."""
    import numpy as np
    import pandas as pd

    values = np.array(candles, dtype=np.float64).reshape(len(candles), len(Candle._fields))
    times = pd.to_datetime(values[:, 0].astype(np.int64), unit="s", utc=True).rename("time")
    return pd.DataFrame(values[:, 1:], columns=list(Candle._fields[1:]), index=times)
