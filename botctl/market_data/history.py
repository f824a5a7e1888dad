"""Histories from files: candles of one symbol, and the Fear & Greed index over time."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botctl.domain.candles import CandleColumns, from_unix
from botctl.domain.errors import BadValue, ConfigError
from botctl.domain.sentiment import SentimentHistory
from botctl.domain.symbols import Timeframe
from botctl.market_data.csv_reader import (
    TIME_NAMES,
    CsvTable,
    open_table,
    parse_iso,
    read_bytes,
    read_fast,
    read_slowly,
    unit_of,
)
from botctl.market_data.file_names import seconds_in, symbol_in

if TYPE_CHECKING:
    import numpy as np

    Columns = list[Any]  # six arrays: times, opens, highs, lows, closes, volumes

CANDLE_NAMES = {
    "time": TIME_NAMES,
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume", "vol"),
}
KRAKEN_COLUMNS = ("time", "open", "high", "low", "close", "volume", "trades")
"""Kraken's downloadable files have no header."""
SENTIMENT_NAMES = {"time": TIME_NAMES, "value": ("value", "index", "fear_greed", "fear_and_greed", "fng")}
ENOUGH_TO_JUDGE = 100
"""From so many candles on the steps between them tell how long one is, whatever was not traded."""


def load_candles(path: Path, symbol: str | None = None) -> CandleColumns:
    """The candles in a CSV file, plain or gzipped, or a Parquet file.

    The symbol and the length of a candle are told by the file's name; `symbol` wins, and where the name has no length
    the most common step between two candles is one. Candles may be absent. Raises BadValue that names the first line
    that can't be true: a half-read history would be another history.
    """
    symbol = symbol or symbol_in(path)
    if symbol is None:
        raise BadValue(f"the name of {path} tells no symbol", hint=f"name it behind the file: {path}:BTC/USD")
    if path.suffix.lower() == ".parquet":
        columns, place = _read_parquet(path), "row"
        table = None
    else:
        table, place = open_table(path, CANDLE_NAMES, {6: KRAKEN_COLUMNS[:6], 7: KRAKEN_COLUMNS}), "line"
        fast = read_fast(table)
        columns = fast if fast is not None and _sound(fast) else read_slowly(table, problem_with_candles)
    skipped = table.skipped if table else 0
    seconds = _check_times(path, columns[0], f"{path} {place}", skipped)
    return CandleColumns(symbol, seconds, *columns)


def problem_with_candles(row: list[float]) -> str:
    """What makes a row of open, high, low, close and volume impossible; nothing when it is a candle."""
    low, high = row[2], row[1]
    prices = row[:4]
    if min(prices) <= 0:
        return f"a price of {min(prices):g}"
    if low > min(prices):
        return f"the low of {low:g} lies above another price of the candle"
    if high < max(prices):
        return f"the high of {high:g} lies below another price of the candle"
    return f"a volume of {row[4]:g}" if row[4] < 0 else ""


def _sound(columns: "Columns") -> bool:
    """The same question for all rows at once."""
    _, opens, highs, lows, closes, volumes = columns
    in_range = (lows <= opens) & (lows <= closes) & (opens <= highs) & (closes <= highs)
    return bool((in_range & (lows > 0) & (volumes >= 0)).all())


def _check_times(path: Path, times: "np.ndarray[Any, Any]", place: str, skipped: int) -> int:
    """The length of a candle. Raises BadValue for times that can't be those of candles of one length."""
    import numpy as np

    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        what = "stands there twice" if steps[row - 1] == 0 else "is earlier than the one before it"
        raise BadValue(f"{place} {skipped + row + 1}: {moment(times[row])} {what}", hint="sort the rows by time")
    seconds = seconds_in(path) or _common(path, steps)
    off = times % seconds != 0
    if off.any():
        row = int(np.argmax(off))
        what = f"no candle of {Timeframe.from_seconds(seconds)} opens at {moment(times[row])}"
        raise BadValue(f"{place} {skipped + row + 1}: {what}", hint="mend or remove it")
    true = int(np.gcd.reduce(steps)) if len(steps) else seconds
    if true != seconds and len(steps) >= ENOUGH_TO_JUDGE:
        raise BadValue(
            f"{path} is named as candles of {seconds // 60} minutes, and they are {true // 60} minutes apart",
            hint="give the file its true name, such as BTC-USD_15m.csv",
        )
    return seconds


def _common(path: Path, steps: "np.ndarray[Any, Any]") -> int:
    """The most common step between candles, which must be a timeframe."""
    counted = Counter(steps.tolist()).most_common(1)
    if not counted or counted[0][0] not in [timeframe.seconds for timeframe in Timeframe]:
        step = f"are {counted[0][0]} seconds apart" if counted else "is only one"
        raise BadValue(
            f"the candles in {path} {step}, and botctl knows {', '.join(Timeframe)}",
            hint="tell the timeframe in the name, such as BTC-USD_15m.csv",
        )
    return int(counted[0][0])


def moment(seconds: Any) -> str:
    """A time as error messages tell it."""
    try:
        return f"{from_unix(int(seconds)):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


# Parquet


def _read_parquet(path: Path) -> "Columns":
    """The candles' columns of a Parquet file, by the same names as in a CSV."""
    import numpy as np

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(f"{path}: reading Parquet needs pyarrow", hint="pip install 'botctl[parquet]'") from None
    raw = read_bytes(path)
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(raw))
        named = {str(name).lower(): table.column(place) for place, name in enumerate(table.column_names)}
        times, *others = (_parquet_column(path, named, name, names) for name, names in CANDLE_NAMES.items())
        columns = [_parquet_times(times), *(np.asarray(column.to_numpy(), dtype=float) for column in others)]
    except (pyarrow.ArrowException, ValueError, TypeError, OSError) as error:
        raise BadValue(f"{path} can't be read: {' '.join(str(error).split())[:150]}", hint="get it anew") from error
    if not len(columns[0]):
        raise BadValue(f"{path} has no rows", hint="get it anew")
    if _sound(columns) and all(np.isfinite(column).all() for column in columns):
        return columns
    for row, figures in enumerate(zip(*columns[1:], strict=True)):
        wrong = problem_with_candles([float(figure) for figure in figures])
        if wrong or not all(map(np.isfinite, figures)):
            raise BadValue(f"{path} row {row + 1}: {wrong or 'a figure is absent'}", hint="mend or remove the row")
    return columns


def _parquet_column(path: Path, named: dict[str, Any], name: str, names: Any) -> Any:
    for one in names:
        if one in named:
            return named[one]
    raise BadValue(f"{path} has no column {name}", hint=f"name one of its columns {' or '.join(names)}")


def _parquet_times(column: Any) -> Any:
    """Unix seconds from time stamps, from numbers or from text."""
    import numpy as np

    values = column.to_numpy()
    if values.dtype.kind == "M":
        return values.astype("datetime64[s]").astype(np.int64)
    if values.dtype.kind == "O":
        return np.array([parse_iso(str(text)) for text in values], dtype=np.int64)
    return np.asarray(values, dtype=np.int64) // unit_of(float(values[0]))


# The mood


def load_sentiment(path: Path) -> SentimentHistory:
    """Readings of the Fear & Greed index: a CSV with a header, or the JSON that alternative.me answers.

    In whatever order; the index is a whole number from 0 to 100. Raises BadValue that names the first bad line.
    """
    if read_bytes(path).lstrip()[:1] in (b"{", b"["):
        readings = _sentiment_in_json(path)
    else:
        readings = _sentiment_in_table(open_table(path, SENTIMENT_NAMES, {2: ("time", "value")}))
    times, indices = zip(*sorted(readings), strict=True)
    for earlier, later in pairwise(times):
        if earlier == later:
            raise BadValue(f"{path} has two readings of {moment(later)}", hint="keep one of them")
    return SentimentHistory(times, indices)


def _sentiment_in_table(table: CsvTable) -> list[tuple[int, int]]:
    times, values = read_slowly(table, lambda row: _no_index(row[0]))
    return [(int(time), int(value)) for time, value in zip(times, values, strict=True)]


def _no_index(value: float) -> str:
    return "" if 0 <= value <= 100 and value == int(value) else f"{value:g} is no index from 0 to 100"


def _sentiment_in_json(path: Path) -> list[tuple[int, int]]:
    try:
        document = json.loads(read_bytes(path))
    except ValueError as error:
        raise BadValue(f"{path} is no JSON: {error}", hint="get it anew") from error
    entries = document.get("data") if isinstance(document, dict) else document
    if not isinstance(entries, list) or not entries:
        raise BadValue(
            f"{path} has no readings", hint='it must look like {"data": [{"value": "30", "timestamp": "…"}]}'
        )
    readings = []
    for number, entry in enumerate(entries, 1):
        try:
            time, value = int(entry["timestamp"]), int(entry["value"])
            from_unix(time // unit_of(time))
            readings.append((time // unit_of(time), value))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise BadValue(
                f"{path} reading {number} can't be read: {type(error).__name__} {error}",
                hint="each needs a value and a timestamp in unix seconds",
            ) from error
        if wrong := _no_index(readings[-1][1]):
            raise BadValue(f"{path} reading {number}: {wrong}", hint="mend or remove it")
    return readings
