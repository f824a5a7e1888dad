"""fetch: what Kraken tells is kept, what is kept never changes, and what is absent is said."""

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from freezegun import freeze_time

from botctl.domain.candles import Candle
from botctl.domain.symbols import Timeframe
from botctl.market_data.fetch import fetch_history
from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, check_json_error
from tests.fake_kraken import FakeKraken
from tests.fields import FETCH, GAP

NOW = "2026-11-22 12:07"


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    with freeze_time(NOW):
        yield


@pytest.fixture
def public(bot: BotRunner, kraken: FakeKraken) -> BotRunner:
    """botctl in demo mode, without keys, whose Kraken is that one."""
    bot.set(KRAKEN_API_URL=kraken.url)
    kraken.set_candles("BTC/USD", [100 + place for place in range(800)])
    return bot


def lines_of(bot: BotRunner, name: str = "BTC-USD_15m.csv") -> list[str]:
    return (bot.home / "data" / "candles" / name).read_text().splitlines()


def test_it_keeps_the_closed_candles_that_kraken_tells(public: BotRunner) -> None:
    [view] = public.json("fetch", "btc/usd")

    assert set(view) == FETCH
    assert (view["fetched"], view["added"], view["candles"]) == (719, 719, 719)
    assert (view["last"], view["gaps"], view["changed"]) == ("2026-11-22T11:45:00.000Z", [], [])
    header, *rows = lines_of(public)
    assert header == "time,open,high,low,close,volume"
    assert len(rows) == 719
    assert rows[-1] == "1795347900,898,899,898,899,1"


def test_what_it_wrote_is_a_history_to_trade(public: BotRunner) -> None:
    public.run("fetch", "BTC/USD")

    run = public.run("backtest", str(public.home / "data/candles/BTC-USD_15m.csv"))

    assert run.exit_code == 0, run.stderr
    assert "BTC/USD on 15m candles" in run.stdout


@pytest.mark.parametrize("mode", ["demo", "paper", "live"])
def test_it_needs_no_key_no_database_and_no_lock_in_any_mode(public: BotRunner, mode: str) -> None:
    public.set(BOTCTL_MODE=mode)

    assert public.run("fetch", "BTC/USD", "ETH/USD").exit_code == 0

    names = {path.name for path in public.home.rglob("*") if path.is_file()}
    assert names == {"BTC-USD_15m.csv", "ETH-USD_15m.csv", ".BTC-USD_15m.csv.lock", ".ETH-USD_15m.csv.lock"}


def test_later_it_adds_what_is_new_and_changes_nothing(public: BotRunner, kraken: FakeKraken) -> None:
    public.run("fetch", "BTC/USD")
    before = lines_of(public)

    with freeze_time("2026-11-22 13:08"):
        kraken.set_candles("BTC/USD", [100 + place for place in range(804)])
        [view] = public.json("fetch", "BTC/USD")

    assert (view["added"], view["candles"]) == (4, 723)
    assert lines_of(public)[:720] == before


def test_nothing_new_leaves_the_file_untouched(public: BotRunner) -> None:
    public.run("fetch", "BTC/USD")
    path = public.home / "data/candles/BTC-USD_15m.csv"
    before = path.stat()

    run = public.run("fetch", "BTC/USD")

    assert run.exit_code == 0
    assert "0 added" in run.stdout
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_candle_told_differently_is_an_error_and_the_old_one_stays(public: BotRunner, kraken: FakeKraken) -> None:
    public.run("fetch", "BTC/USD")
    before = lines_of(public)

    kraken.set_candles("BTC/USD", [*(100 + place for place in range(799)), 5000])
    run = public.run("fetch", "BTC/USD")

    assert run.exit_code == 1
    assert "Kraken's candle of 2026-11-22 11:45 differs" in run.stderr
    assert lines_of(public) == before


def test_a_gap_is_said_from_where_to_where(public: BotRunner, kraken: FakeKraken) -> None:
    public.run("fetch", "BTC/USD")

    with freeze_time("2026-12-05 12:07"):
        run = public.run("fetch", "BTC/USD")
        [view] = public.json("fetch", "BTC/USD")

    assert run.exit_code == 0
    assert "warning: BTC/USD: 529 candles are missing, 2026-11-22 12:00 to 2026-11-28 00:00" in run.stderr
    [gap] = view["gaps"]
    assert set(gap) == GAP
    assert gap["candles"] == 529


def test_what_is_too_old_to_be_had_is_said_once(public: BotRunner) -> None:
    run = public.run("fetch", "BTC/USD", "ETH/USD", "--since", "2020-01-01")

    assert run.exit_code == 0
    assert run.stderr.count("Kraken returns no candles before") == 1
    assert "download older ones" in run.stderr


def test_since_leaves_out_what_is_older(public: BotRunner) -> None:
    [view] = public.json("fetch", "BTC/USD", "--since", "2026-11-22T10:00")

    assert (view["first"], view["candles"]) == ("2026-11-22T10:00:00.000Z", 8)


def test_another_timeframe_is_another_file(public: BotRunner) -> None:
    [view] = public.json("fetch", "BTC/USD", "--timeframe", "1h")

    assert view["file"].endswith("BTC-USD_1h.csv")
    assert len(lines_of(public, "BTC-USD_1h.csv")) == view["candles"] + 1


def test_krakens_own_file_is_continued(public: BotRunner) -> None:
    path = public.home / "data/candles/BTC-USD_15m.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "".join(f"{1795347900 - 900 * at},{899 - at - 1},{899 - at},50,{899 - at},1,5\n" for at in (801, 800))
    )

    run = public.run("fetch", "BTC/USD")

    assert run.exit_code == 0
    assert lines_of(public)[1:3] == ["1794627000,97,98,50,98,1", "1794627900,98,99,50,99,1"]
    assert len(lines_of(public)) == 1 + 2 + 719


@pytest.mark.parametrize(
    "content",
    ["time,open,high,low,close,volume\n900,1,2\n", "time,close,open,high,low,volume,note\n" + "900,1,1,1,1,1,x\n"],
)
def test_a_file_that_is_damaged_or_of_another_make_is_left_alone(public: BotRunner, content: str) -> None:
    path = public.home / "data/candles/BTC-USD_15m.csv"
    path.parent.mkdir(parents=True)
    path.write_text(content)

    check_error(public.run("fetch", "BTC/USD"), 2, str(path))
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("NO/USD",), "unknown market NO/USD"),
        (("SOL",), "not one of the known symbols"),
        (("BTC/USD", "--timeframe", "2h"), "--timeframe must be one of 1m"),
        (("BTC/USD", "--since", "soon"), "--since must be a date or time, not 'soon'"),
    ],
)
def test_bad_values_are_named(public: BotRunner, arguments: tuple[str, ...], words: str) -> None:
    check_error(public.run("fetch", *arguments), 2, words)


@pytest.mark.usefixtures("bent_time")
def test_an_unreachable_kraken_is_told_and_leaves_no_file(public: BotRunner) -> None:
    public.set(KRAKEN_API_URL="http://127.0.0.1:9")

    answer = check_json_error(public.run("fetch", "BTC/USD", "--json"), 69, "unreachable")

    assert answer["retryable"] is True
    assert not (public.home / "data").exists()


def test_one_sick_symbol_does_not_stop_the_others(public: BotRunner) -> None:
    run = public.run("fetch", "NO/USD", "BTC/USD", "--json")

    assert run.exit_code == 2
    assert "NO/USD" in run.stderr
    assert [view["symbol"] for view in json.loads(run.stdout)] == ["BTC/USD"]


class Teller:
    """Tells one candle."""

    def __init__(self, place: int) -> None:
        self.place = place

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        return [Candle(900 * self.place, 1.0, 1.0, 1.0, 1.0, 1.0)]


def fetch_one(place: int, folder: Path) -> None:
    fetch_history(Teller(place), "BTC/USD", Timeframe.MINUTES_15, folder)


@pytest.mark.long
def test_fetches_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fetch_one, args=(place, tmp_path)) for place in range(1, 5)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(120)

    assert [process.exitcode for process in processes] == [0] * 4
    assert len((tmp_path / "BTC-USD_15m.csv").read_text().splitlines()) == 5
