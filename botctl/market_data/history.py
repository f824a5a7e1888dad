"""Histories from files: candles of one symbol, and the Fear & Greed index over time."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botctl.domain.candles import CandleColumns, from_unix
from botctl.domain.errors import BadValue, ConfigError
from botctl.domain.sentiment import SentimentHistory
from botctl.domain.serialization import parse_json
from botctl.domain.symbols import Timeframe
from botctl.market_data.csv_reader import (
    MAX_STAMP,
    ONE_UNIT,
    TIME_NAMES,
    change_of_unit,
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
"""The columns of Kraken's downloadable files, which have no header."""
SENTIMENT_NAMES = {"time": TIME_NAMES, "value": ("value", "index", "fear_greed", "fear_and_greed", "fng")}
MIN_STEPS_TO_JUDGE = 100
"""From this many steps on their common divisor is the length of a candle, even if some candles are absent."""


def load_candles(path: Path, symbol: str | None = None) -> CandleColumns:
    """The candles in a CSV file, plain or gzipped, or a Parquet file. Candles may be absent.

    The file's name gives the symbol and the length of a candle; `symbol` takes precedence, and without a length in
    the name the most common step between two candles is used. Raises BadValue that names the first invalid line: a
    half-read history would be another history.
    """
    symbol = symbol or symbol_in(path)
    if symbol is None:
        hint = f"add --symbol BTC/USD, or with several files {path.name}:BTC/USD"
        raise BadValue(f"the name of {path} does not tell its symbol", hint=hint)
    if path.suffix.lower() == ".parquet":
        columns, line, skipped = _read_parquet(path), "row", 0
    else:
        table = open_table(path, CANDLE_NAMES, {6: KRAKEN_COLUMNS[:6], 7: KRAKEN_COLUMNS})
        fast = read_fast(table)
        columns = fast if fast is not None and _are_valid(fast) else read_slowly(table, problem_with_candle)
        line, skipped = "line", table.skipped
    seconds = _check_times(path, columns[0], f"{path} {line}", skipped)
    return CandleColumns(symbol, seconds, *columns)


def problem_with_candle(row: list[float]) -> str | None:
    """What makes a row of open, high, low, close and volume impossible; None for a valid candle."""
    *prices, volume = row
    _, high, low, _ = prices
    if min(prices) <= 0:
        return f"a price of {min(prices):g}"
    if low > min(prices):
        return f"the low of {low:g} is above another price of the candle"
    if high < max(prices):
        return f"the high of {high:g} is below another price of the candle"
    return f"a volume of {volume:g}" if volume < 0 else None


def _are_valid(columns: "Columns") -> bool:
    """Whether no row has a problem, for all rows at once."""
    _, opens, highs, lows, closes, volumes = columns
    in_range = (lows <= opens) & (lows <= closes) & (opens <= highs) & (closes <= highs)
    return bool((in_range & (lows > 0) & (volumes >= 0)).all())


def _check_times(path: Path, times: "np.ndarray[Any, Any]", line: str, skipped: int) -> int:
    """The length of a candle. Raises BadValue for times that don't fit candles of one length."""
    import numpy as np

    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        problem = "appears twice" if steps[row - 1] == 0 else "is earlier than the one before it"
        raise BadValue(f"{line} {skipped + row + 1}: {_shown(times[row])} {problem}", hint="sort the rows by time")
    seconds = seconds_in(path) or _most_common_step(path, steps)
    off = times % seconds != 0
    if off.any():
        row = int(np.argmax(off))
        problem = f"no candle of {Timeframe.from_seconds(seconds)} opens at {_shown(times[row])}"
        raise BadValue(f"{line} {skipped + row + 1}: {problem}", hint="fix or remove it")
    divisor = int(np.gcd.reduce(steps)) if len(steps) else seconds
    if divisor != seconds and len(steps) >= MIN_STEPS_TO_JUDGE:
        raise BadValue(
            f"{path} is named as candles of {seconds // 60} minutes, and they are {divisor // 60} minutes apart",
            hint="correct the file's name, such as BTC-USD_15m.csv",
        )
    return seconds


def _most_common_step(path: Path, steps: "np.ndarray[Any, Any]") -> int:
    """The most common step between candles. Raises BadValue if it is not a timeframe."""
    counted = Counter(steps.tolist()).most_common(1)
    if not counted or counted[0][0] not in [timeframe.seconds for timeframe in Timeframe]:
        step = f"are {counted[0][0]} seconds apart" if counted else "is only one"
        raise BadValue(
            f"the candles in {path} {step}, and botctl supports {', '.join(Timeframe)}",
            hint="add the timeframe to the name, such as BTC-USD_15m.csv",
        )
    return int(counted[0][0])


def _shown(seconds: Any) -> str:
    """A time in an error message, which may be outside the calendar."""
    try:
        return f"{from_unix(int(seconds)):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


# Parquet


def _read_parquet(path: Path) -> "Columns":
    """The candle columns of a Parquet file, by the same names as in a CSV."""
    import numpy as np

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(f"{path}: reading Parquet needs pyarrow", hint="pip install 'botctl[parquet]'") from None
    raw = read_bytes(path)
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(raw))
        by_name = {str(name).lower(): table.column(index) for index, name in enumerate(table.column_names)}
        times, *others = (_parquet_column(path, by_name, name, aliases) for name, aliases in CANDLE_NAMES.items())
        columns = [_parquet_times(path, times), *(np.asarray(column.to_numpy(), dtype=float) for column in others)]
    except (pyarrow.ArrowException, ValueError, TypeError, OSError) as error:
        message = " ".join(str(error).split())[:150]
        raise BadValue(f"{path} can't be read: {message}", hint="download it again") from error
    if not len(columns[0]):
        raise BadValue(f"{path} has no rows", hint="download it again")
    if not _are_valid(columns) or not all(np.isfinite(column).all() for column in columns):
        for row, values in enumerate(zip(*columns[1:], strict=True), 1):
            problem = problem_with_candle([*map(float, values)])
            if problem or not np.isfinite(values).all():
                raise BadValue(f"{path} row {row}: {problem or 'a value is missing'}", hint="fix or remove the row")
    return columns


def _parquet_column(path: Path, by_name: dict[str, Any], name: str, aliases: Any) -> Any:
    for alias in aliases:
        if alias in by_name:
            return by_name[alias]
    raise BadValue(f"{path} has no column {name}", hint=f"name one of its columns {' or '.join(aliases)}")


def _parquet_times(path: Path, column: Any) -> Any:
    """Unix seconds from time stamps, numbers or text. Raises BadValue when their unit changes."""
    import numpy as np

    values = column.to_numpy()
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[s]")
        _check_parquet_times(path, values, values == seconds)  # NaT, a missing one, equals nothing
        return seconds.astype(np.int64)
    if values.dtype.kind == "O":
        return np.array([_parse_parquet_text(path, row, text) for row, text in enumerate(values, 1)], dtype=np.int64)
    _check_parquet_times(path, values, (values >= 0) & (values < MAX_STAMP))
    unit = unit_of(float(values[0]))
    other = [row for row, stamp in enumerate(values.tolist(), 1) if unit_of(stamp) != unit]
    if other:
        raise BadValue(f"{path} row {other[0]}: {change_of_unit(str(values[other[0] - 1]), unit)}", hint=ONE_UNIT)
    _check_parquet_times(path, values, values % unit == 0)
    return (values // unit).astype(np.int64)


def _check_parquet_times(path: Path, values: Any, whole: Any) -> None:
    """Raises BadValue with the first row whose time is not a whole second."""
    if not whole.all():
        row = int(whole.argmin())
        raise BadValue(f"{path} row {row + 1}: {values[row]} is not a time in whole seconds", hint="fix or remove it")


def _parse_parquet_text(path: Path, row: int, text: Any) -> int:
    try:
        return parse_iso(str(text))
    except (ValueError, OverflowError):
        raise BadValue(f"{path} row {row}: {str(text)[:40]!r} is not a time in ISO 8601", hint="fix it") from None


# Sentiment


def load_sentiment(path: Path) -> SentimentHistory:
    """Readings of the Fear & Greed index: a CSV with a header, or the JSON of alternative.me, in any order.

    The index is a whole number from 0 to 100. Raises BadValue that names the first invalid line.
    """
    if read_bytes(path).lstrip()[:1] in (b"{", b"["):
        readings = _sentiment_in_json(path)
    else:
        table = open_table(path, SENTIMENT_NAMES, {2: ("time", "value")})
        columns = read_slowly(table, lambda row: _problem_with_index(row[0]))
        readings = [(int(time), int(value)) for time, value in zip(*columns, strict=True)]
    times, indices = zip(*sorted(readings), strict=True)
    for earlier, later in pairwise(times):
        if earlier == later:
            raise BadValue(f"{path} has two readings of {_shown(later)}", hint="keep one of them")
    return SentimentHistory(times, indices)


def _problem_with_index(value: float) -> str | None:
    return None if 0 <= value <= 100 and value == int(value) else f"{value:g} is not an index from 0 to 100"


def _sentiment_in_json(path: Path) -> list[tuple[int, int]]:
    try:
        document = parse_json(read_bytes(path))
    except ValueError as error:
        raise BadValue(f"{path} is not JSON: {error}", hint="download it again") from error
    entries = document.get("data") if isinstance(document, dict) else document
    if not isinstance(entries, list) or not entries:
        raise BadValue(
            f"{path} has no readings", hint='it must look like {"data": [{"value": "30", "timestamp": "…"}]}'
        )
    return [_parse_reading(path, number, entry) for number, entry in enumerate(entries, 1)]


def _parse_reading(path: Path, number: int, entry: Any) -> tuple[int, int]:
    try:
        time, value = int(entry["timestamp"]), int(entry["value"])
        time //= unit_of(time)
        from_unix(time)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise BadValue(
            f"{path} reading {number} can't be read: {type(error).__name__} {error}",
            hint="each needs a value and a timestamp in unix seconds",
        ) from error
    if problem := _problem_with_index(value):
        raise BadValue(f"{path} reading {number}: {problem}", hint="fix or remove it")
    return time, value
