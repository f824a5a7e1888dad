"""Histories from files: what is sound is read to the last digit, and what is not is named with its line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botctl.domain.candles import CandleColumns
from botctl.domain.errors import BadValue, ConfigError
from botctl.market_data.history import load_candles, load_sentiment
from tests.bot_runner import PROJECT
from tests.quick import parametrize

START = 1_700_000_100 // 900 * 900
Row = tuple[int, float, float, float, float, float]


@st.composite
def tables(draw: st.DrawFn, least: int = 2) -> list[Row]:
    """Candles of 15 minutes, some absent, the first two next to each other."""
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=least - 2, max_size=12))
    times, rows = [START, START + 900], []
    for step in steps:
        times.append(times[-1] + 900 * step)
    for time in times:
        figures = sorted(draw(st.lists(st.floats(1e-9, 1e9), min_size=4, max_size=4)))
        low, one, other, high = figures
        rows.append((time, one, high, low, other, draw(st.floats(0, 1e12))))
    return rows


def headless(rows: list[Row]) -> list[str]:
    return [",".join([str(row[0]), *map(repr, row[1:]), "7"]) for row in rows]


def write(folder: Path, lines: list[str], name: str = "XBTUSD_15.csv", end: str = "\n") -> Path:
    path = folder / name
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def rows_of(history: CandleColumns) -> list[Row]:
    columns = (history.times, history.opens, history.highs, history.lows, history.closes, history.volumes)
    return [tuple(row) for row in zip(*(np.asarray(column).tolist() for column in columns), strict=True)]  # type: ignore[misc]


GOOD = [f"{START + 900 * at},100,110,90,105,1.5,3" for at in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("histories")


@given(tables())
def test_a_sound_file_of_krakens_survives_writing_and_reading(folder: Path, rows: list[Row]) -> None:
    history = load_candles(write(folder, headless(rows)))

    assert (history.symbol, history.seconds) == ("BTC/USD", 900)
    assert rows_of(history) == rows


@given(tables(), st.permutations(["time", "open", "high", "low", "close", "volume", "note"]), st.sampled_from("sμmi"))
def test_columns_are_found_by_their_names_and_times_in_every_form(
    folder: Path, rows: list[Row], order: list[str], form: str
) -> None:
    written: dict[str, Callable[[int], str]] = {
        "s": str,
        "m": lambda time: f"{time}000",
        "μ": lambda time: f"{time}000000",
        "i": lambda time: str(np.datetime64(time, "s")),
    }
    named = [
        dict(zip(order, order, strict=True))
        | {"time": written[form](row[0])}
        | dict(zip(("open", "high", "low", "close", "volume"), map(repr, row[1:]), strict=True))
        for row in rows
    ]
    lines = [",".join(order), *(",".join(row[name] for name in order) for row in named)]

    assert rows_of(load_candles(write(folder, lines, "BTC-USD_15m.csv"))) == rows


DAMAGES: dict[str, Callable[[list[str]], list[str]]] = {
    "a word": lambda cells: [cells[0], "much", *cells[2:]],
    "nothing": lambda cells: [*cells[:2], "", *cells[3:]],
    "nan": lambda cells: [*cells[:4], "nan", *cells[5:]],
    "inf": lambda cells: [*cells[:2], "inf", *cells[3:]],
    "zero": lambda cells: [*cells[:3], "0", *cells[4:]],
    "a negative price": lambda cells: [*cells[:3], "-1", *cells[4:]],
    "a negative volume": lambda cells: [*cells[:5], "-1", *cells[6:]],
    "a low above": lambda cells: [*cells[:3], "1e10", *cells[4:]],
    "a high below": lambda cells: [*cells[:2], "1e-10", *cells[3:]],
    "digits of another script": lambda cells: [*cells[:5], "١", *cells[6:]],
    "an underscore": lambda cells: [*cells[:5], "1_0", *cells[6:]],
    "a quarter of an hour with a half": lambda cells: [f"{cells[0]}.5", *cells[1:]],
    "a time off the raster": lambda cells: [str(int(cells[0]) + 1), *cells[1:]],
    "no time": lambda cells: ["now", *cells[1:]],
    "an endless time": lambda cells: ["1e300", *cells[1:]],
    "a time before all times": lambda cells: [f"-{cells[0]}", *cells[1:]],
    "a cell too many": lambda cells: [*cells, "1"],
    "a cell too few": lambda cells: cells[:-1],
    "nothing at all": lambda cells: [],
}


@parametrize("damage", DAMAGES, quick=6)
@settings(max_examples=15)
@given(tables(least=3), st.data())
def test_a_damaged_row_refuses_the_file_with_its_line(
    folder: Path, damage: str, rows: list[Row], data: st.DataObject
) -> None:
    lines = headless(rows)
    place = data.draw(st.integers(1, len(lines) - 2))
    lines[place] = ",".join(DAMAGES[damage](lines[place].split(",")))
    path = write(folder, lines)

    with pytest.raises(BadValue, match=rf"XBTUSD_15\.csv line {place + 1}: ") as refused:
        load_candles(path)

    assert refused.value.hint


@given(tables(least=4), st.data())
def test_rows_out_of_order_or_twice_are_named(folder: Path, rows: list[Row], data: st.DataObject) -> None:
    lines = headless(rows)
    place = data.draw(st.integers(1, len(lines) - 1))

    with pytest.raises(BadValue, match=f"line {place + 1}: .* is earlier than the one before it"):
        load_candles(write(folder, [*lines[: place - 1], lines[place], lines[place - 1], *lines[place + 1 :]]))
    with pytest.raises(BadValue, match=f"line {place + 2}: .* appears twice"):
        load_candles(write(folder, [*lines[: place + 1], lines[place], *lines[place + 1 :]]))


def test_the_line_counts_comments_and_the_header(folder: Path) -> None:
    lines = ["# a remark", "time,open,high,low,close,volume,trades", *GOOD[:3], "oops"]

    with pytest.raises(BadValue, match="line 6: 1 columns instead of 7"):
        load_candles(write(folder, lines))


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_last_line_that_was_cut_is_named(folder: Path, cut: int) -> None:
    """As long as cells are missing. A cut inside the very last one can't be seen."""
    path = folder / "XBTUSD_15.csv"
    path.write_text("\n".join(GOOD)[: -1 - cut])

    with pytest.raises(BadValue, match="line 6: "):
        load_candles(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x00\x01\x02PK", "is not a text file"),
        (b"\xff\xfe1\x00,\x00", "is not a text file"),
        (b"\x1f\x8bnot really", "can't be unpacked"),
        (gzip.compress("\n".join(GOOD).encode(), mtime=0)[:-12], "can't be unpacked"),
        (b"# only\n# remarks\n", "nothing but comments"),
        (b"time,open,high,low,close,volume\n", "no row below it"),
        (b"time,open,high,low,volume\n1,2,3,4,5\n", "no column close"),
        (b"open,high,low,close,volume\n1,2,3,4,5\n", "no column time"),
        (b"1700000100,1,1,1\n", "4 columns without a header"),
        (b"<html>\n<body>\n", "no column time"),
    ],
)
def test_a_file_that_is_no_history_says_what_it_is(folder: Path, content: bytes, words: str) -> None:
    path = folder / "BTC-USD.csv"
    path.write_bytes(content)

    with pytest.raises(BadValue, match=words) as refused:
        load_candles(path)

    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="there is no file"):
        load_candles(tmp_path / "XBTUSD_15.csv")
    with pytest.raises(BadValue, match="can't be read"):
        load_candles(tmp_path, "BTC/USD")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("tail", [b"", b"\r\n\r\n", b"\n"])
def test_line_ends_byte_order_marks_gzip_and_blank_lines_at_the_end_change_nothing(
    folder: Path, end: str, start: bytes, pack: Callable[[bytes], bytes], tail: bytes
) -> None:
    path = folder / "XBTUSD_15.csv"
    path.write_bytes(pack(start + end.join(GOOD).encode() + tail))

    assert rows_of(load_candles(path)) == [(START + 900 * at, 100, 110, 90, 105, 1.5) for at in range(6)]


def test_quoted_cells_are_read(folder: Path) -> None:
    lines = ['"date","open","high","low","close","volume","note"']
    lines += [f'"{np.datetime64(START + 900 * at, "s")}Z",1,2,1,2,"3","a, b"' for at in range(3)]

    assert rows_of(load_candles(write(folder, lines, "BTC-USD.csv")))[2] == (START + 1800, 1, 2, 1, 2, 3)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("XBTUSD_15.csv", "BTC/USD"),
        ("XDGEUR_15.csv.gz", "DOGE/EUR"),
        ("BTC-USD_15m.csv", "BTC/USD"),
        ("BTC_USD-15m.csv", "BTC/USD"),
        ("btc-usd.csv", "BTC/USD"),
        ("SOLUSDT_15.csv", "SOL/USDT"),
        ("ETHXBT_15.csv", "ETH/BTC"),
        ("kraken_BTCEUR_15m_2023Q4.csv", "BTC/EUR"),
        ("kraken_BTC_USD_15m.csv", "BTC/USD"),
        ("stranger_eth_btc_15m.csv", "ETH/BTC"),
        ("my_BTC_USD.csv", "BTC/USD"),
        ("BTCBUSD-15m.csv", "BTC/BUSD"),
        ("BTCFDUSD-15m-2024-01.csv", "BTC/FDUSD"),
        ("BTC_USDT_USDT-15m.csv", "BTC/USDT"),
        ("Kraken_SOLUSD_15.csv", "SOL/USD"),
        ("DOTUSD_15.csv", "DOT/USD"),
        ("SHIBUSD_15.csv", "SHIB/USD"),
        ("BNBUSD_15.csv", "BNB/USD"),
        ("STETH-USD.csv", "STETH/USD"),
        ("BRANDNEWUSD_15.csv", "BRANDNEW/USD"),
        ("XXBTZEUR_15.csv", "BTC/EUR"),
    ],
)
def test_the_name_tells_the_symbol(tmp_path: Path, name: str, symbol: str) -> None:
    assert load_candles(write(tmp_path, GOOD, name)).symbol == symbol


@pytest.mark.parametrize(
    "name",
    ["candles.csv", "data_btc.csv", "USD.csv", "ARBUSD_15.csv", "ABCBUSD_15.csv", "BTCUSD_ETHUSD.csv", "STETH.csv"],
)
def test_a_name_that_tells_none_or_two_asks_for_it(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, GOOD, name)

    with pytest.raises(BadValue, match=r"does not tell its symbol: add --symbol BTC/USD, .*\.csv:BTC/USD"):
        load_candles(path)

    assert load_candles(path, "ETH/EUR").symbol == "ETH/EUR"


@pytest.mark.parametrize(
    ("name", "step", "seconds"),
    [
        ("XBTUSD_60.csv", 3600, 3600),
        ("XBTUSD_1440.csv", 86400, 86400),
        ("BTC-USD_1h.csv", 3600, 3600),
        ("BTC-USD_1m.csv", 60, 60),
        ("BTC-USD.csv", 14400, 14400),
        ("BTC-USD.csv", 900, 900),
    ],
)
def test_the_length_of_a_candle_is_told_by_the_name_or_by_the_candles(
    tmp_path: Path, name: str, step: int, seconds: int
) -> None:
    start = START // 86400 * 86400
    lines = [f"{start + step * at},1,1,1,1,1,1" for at in range(200)]

    assert load_candles(write(tmp_path, lines, name)).seconds == seconds


def test_candles_of_no_known_length_and_of_another_than_the_name_says_are_refused(tmp_path: Path) -> None:
    weeks = [f"{604800 * at},1,1,1,1,1,1" for at in range(1, 5)]
    hours = [f"{3600 * at},1,1,1,1,1,1" for at in range(1, 200)]

    with pytest.raises(BadValue, match="604800 seconds apart"):
        load_candles(write(tmp_path, weeks, "XBTUSD.csv"))
    with pytest.raises(BadValue, match="is only one"):
        load_candles(write(tmp_path, weeks[:1], "XBTUSD.csv"))
    with pytest.raises(BadValue, match="named as candles of 15 minutes, and they are 60 minutes apart"):
        load_candles(write(tmp_path, hours, "XBTUSD_15.csv"))


def test_absent_candles_are_counted(tmp_path: Path) -> None:
    assert load_candles(write(tmp_path, [*GOOD[:2], *GOOD[4:]])).absent == 2
    assert load_candles(write(tmp_path, GOOD)).absent == 0


def test_the_demo_tape_is_a_history_and_a_mood_too() -> None:
    tape = PROJECT / "data" / "tape" / "BTC-USD.csv"

    history, sentiment = load_candles(tape), load_sentiment(tape)

    assert (history.symbol, history.seconds, history.absent) == ("BTC/USD", 900, 0)
    assert list(sentiment.measured) == list(history.times)


def test_parquet_without_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'botctl\[parquet\]'"):
        load_candles(tmp_path / "BTC-USD_15m.parquet")


@pytest.mark.parametrize("time", ["seconds", "moments"])
def test_parquet_reads_like_csv(tmp_path: Path, time: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    times = [START + 900 * at for at in range(6)]
    shown = times if time == "seconds" else pyarrow.array([at * 1000 for at in times], pyarrow.timestamp("ms", "UTC"))
    columns = {"timestamp": shown, "open": [100.0] * 6, "high": [110.0] * 6, "low": [90.0] * 6, "close": [105.0] * 6}
    path = tmp_path / "BTC-USD_15m.parquet"

    parquet.write_table(pyarrow.table({**columns, "volume": [1.5] * 6}), path)
    assert rows_of(load_candles(path)) == rows_of(load_candles(write(tmp_path, GOOD)))

    parquet.write_table(pyarrow.table({**columns, "volume": [1.5] * 6, "low": [90.0] * 4 + [0.0, 90.0]}), path)
    with pytest.raises(BadValue, match="row 5: a price of 0"):
        load_candles(path)


@pytest.mark.parametrize(
    ("unit", "late", "words"),
    [
        (None, 500, "row 4: 1700003200500 is not a time in whole seconds"),
        ("ms", 500, "row 4: 2023-11-14T23:06:40.500 is not a time in whole seconds"),
        ("us", 1, "row 4: 2023-11-14T23:06:40.000001 is not a time in whole seconds"),
        ("ms", None, "row 4: NaT is not a time in whole seconds"),
        (None, None, "row 4: nan is not a time in whole seconds"),
    ],
)
def test_parquet_times_are_whole_seconds_as_in_a_csv(
    tmp_path: Path, unit: str | None, late: int | None, words: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parts = {None: 1000, "ms": 1000, "us": 1_000_000}[unit]
    stamps: list[int | None] = [(1_700_000_500 + 900 * at) * parts for at in range(6)]
    stamps[3] = None if late is None else (stamps[3] or 0) + late
    prices = {name: [100.0] * 6 for name in ("open", "high", "low", "close", "volume")}
    path = tmp_path / "BTC-USD_15m.parquet"
    parquet.write_table(
        pyarrow.table({"time": pyarrow.array(stamps, unit and pyarrow.timestamp(unit)), **prices}), path
    )

    with pytest.raises(BadValue, match=words):
        load_candles(path)


def test_a_parquet_time_that_is_no_time_is_named_by_its_row(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    prices = {name: [100.0] * 2 for name in ("open", "high", "low", "close", "volume")}
    path = tmp_path / "BTC-USD_15m.parquet"
    parquet.write_table(pyarrow.table({"time": ["2023-11-15 00:00", "soon"], **prices}), path)

    with pytest.raises(BadValue, match="row 2: 'soon' is not a time in ISO 8601"):
        load_candles(path)


# The mood


def test_the_index_is_read_from_csv_and_from_the_answer_of_its_service(tmp_path: Path) -> None:
    sheet = write(tmp_path, ["date,value,name", "2024-01-02,55,Greed", "2024-01-01,30,Fear"], "mood.csv")
    answer = tmp_path / "mood.json"
    answer.write_text(
        json.dumps(
            {
                "name": "Fear and Greed Index",
                "data": [
                    {
                        "value": "55",
                        "value_classification": "Greed",
                        "timestamp": "1704153600",
                        "time_until_update": "9",
                    },
                    {"value": "30", "value_classification": "Fear", "timestamp": "1704067200"},
                ],
                "metadata": {"error": None},
            }
        )
    )

    for path in (sheet, answer):
        sentiment = load_sentiment(path)
        assert list(sentiment.measured) == [1704067200, 1704153600]
        assert list(sentiment.indices) == [30, 55]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("date,value\n2024-01-01,30\n2024-01-02,101\n", "line 3: 101 is not an index from 0 to 100"),
        ("date,value\n2024-01-01,30.5\n", "line 2: 30.5 is not an index"),
        ("date,value\n2024-01-01,\n", "line 2: '' is not a number"),
        ("date,value\n2024-13-01,30\n", "line 2: '2024-13-01' is not a time"),
        ("date,value\n2024-01-01,30\n2024-01-01,31\n", "two readings of 2024-01-01"),
        ("date,fear\n2024-01-01,30\n", "no column value"),
        ('{"data": []}', "has no readings"),
        ('{"data": [{"value": "30"}]}', "reading 1 can't be read"),
        ('{"data": [{"value": "3", "timestamp": "1e30"}]}', "reading 1 can't be read"),
        ('{"data": [{"value": "3", "timestamp": 1' + "0" * 40 + "}]}", "reading 1 can't be read"),
        ('{"data": [{"value": "-3", "timestamp": "1704067200"}]}', "reading 1: -3 is not an index"),
        ('{"data": ', "is not JSON"),
    ],
)
def test_a_bad_reading_refuses_the_file(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "mood.csv"
    path.write_text(content)

    with pytest.raises(BadValue, match=words):
        load_sentiment(path)


@pytest.mark.parametrize("factor", [1_000, 1_000_000])
@pytest.mark.parametrize("back", [False, True])
def test_times_that_change_their_unit_are_refused_at_their_line(tmp_path: Path, factor: int, back: bool) -> None:
    rows = [f"{(START + 900 * at) * (factor if (at >= 4) is not back else 1)},1,2,1,2,3" for at in range(8)]
    path = write(tmp_path, ["time,open,high,low,close,volume", *rows], "BTC-USD.csv")

    with pytest.raises(
        BadValue, match=r"line 6: \d+ is a time in \w+seconds|line 6: \d+ is a time in seconds"
    ) as caught:
        load_candles(path)

    assert "those before it are in" in str(caught.value)
    assert "one unit" in caught.value.hint


def test_an_index_whose_times_change_their_unit_is_refused_at_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, ["timestamp,value", "1700000000,30", "1700086400000,31"], "index.csv")

    with pytest.raises(
        BadValue, match="line 3: 1700086400000 is a time in milliseconds, those before it are in seconds"
    ):
        load_sentiment(path)
