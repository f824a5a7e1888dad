"""Signals on their own timeframe: the Council sits once for each of their candles, and guards go on at each tick."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from tests.bent_time import sleeping_moves
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.forked import ForkedRun
from tests.quick import parametrize
from tests.scenarios.steps import (
    QUARTER,
    buy,
    council_program,
    council_says,
    output_of,
    requested_endpoints,
    sides,
    trade_of,
)

HOUR, DAY = 3600, 86_400
ONE_LOOK = {"BalanceEx", "Ticker"}


@pytest.fixture
def hourly(live: BotRunner, kraken: FakeKraken) -> Iterator[FrozenDateTimeFactory]:
    """Ticks every quarter, signals of an hour with an ATR of 900, and a clock that stands ten seconds after noon."""
    live.set(SIGNAL_TIMEFRAME="1h")
    kraken.flat_candles("BTC/USD", 50000, 900, interval=60)
    with noon() as clock:
        yield clock


@contextmanager
def noon() -> Iterator[FrozenDateTimeFactory]:
    """Tomorrow's noon, ten seconds after it, at Kraken too."""
    midday = (datetime.now(UTC).timestamp() // DAY + 1.5) * DAY
    with freeze_time(datetime.fromtimestamp(midday + 10, UTC)) as clock, sleeping_moves(clock):
        yield clock


def tick(live: BotRunner) -> list[str]:
    """What the Council decided in one tick."""
    run = live.run("tick", "--json")
    return [decision["decision"] for decision in run.json()["decisions"]]


def ticks(live: BotRunner, clock: FrozenDateTimeFactory, count: int) -> list[list[str]]:
    """What it decided in each of so many ticks, the first now."""
    decided = []
    for _ in range(count):
        decided.append(tick(live))
        clock.tick(QUARTER)
    return decided


def test_the_council_sits_once_for_each_signal_candle(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    council_says(live, "HOLD")

    assert ticks(live, hourly, 6) == [["HOLD"], [], [], [], ["HOLD"], []]
    assert [request.params["interval"] for request in kraken.requests if request.endpoint == "OHLC"] == ["60", "60"]


def test_a_tick_between_two_signals_costs_one_look(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    council_says(live, "BUY")
    ticks(live, hourly, 2)
    kraken.clear_requests()

    run = live.run("tick", "--json")

    assert run.json()["decisions"] == []
    assert "no signal candle has closed" in str(run.json()["steps"])
    assert set(requested_endpoints(kraken)) == ONE_LOOK
    assert len(requested_endpoints(kraken)) == 2


def test_the_stop_is_checked_at_each_tick_and_hangs_by_the_atr_of_signals(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    council_says(live, "BUY")
    tick(live)
    assert requested_endpoints(kraken).count("OHLC") == 1
    assert trade_of(live)["stop_loss_price"] == "48200.0"  # 50000 - 2 x 900
    hourly.tick(QUARTER)
    kraken.set_price("BTC/USD", 48100)

    assert tick(live) == []

    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


@parametrize("late", [QUARTER, 2 * QUARTER, 30 * HOUR + QUARTER], quick=1)
def test_a_tick_that_comes_late_sits_for_the_newest_signal_and_once(
    live: BotRunner, hourly: FrozenDateTimeFactory, late: int
) -> None:
    council_says(live, "HOLD")
    tick(live)

    hourly.tick(HOUR + late)

    assert ticks(live, hourly, 2) == [["HOLD"], []]


def test_a_candle_that_the_answer_lacks_is_waited_for(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    """Kraken counts some seconds less than this machine: its newest candle is that of the sitting before."""
    council_says(live, "HOLD")
    tick(live)
    hourly.tick(HOUR)

    kraken.clock.offset = -30
    assert tick(live) == []
    kraken.clock.offset = 0

    assert tick(live) == ["HOLD"]


def no_candles(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("OHLC", "error", error="EGeneral:Invalid arguments")


def no_answer(live: BotRunner, kraken: FakeKraken) -> None:
    (live.home / "ill").touch()


def a_price_that_lies(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.markets.lie_about("BTC/USD", "abc", "3", 3)


def a_pause_meanwhile(live: BotRunner, kraken: FakeKraken) -> None:
    (live.home / "pausing").touch()


PROGRAM = (
    "ill = [os.remove(name) for name in ('ill',) if os.path.exists(name)]",
    "[os.rename(name, 'data/HALT') for name in ('pausing',) if os.path.exists(name)]",
    "print('' if ill else json.dumps({'decision': 'BUY', 'reason': 'told so'}))",
)


@parametrize("trouble", [no_answer, no_candles, a_price_that_lies, a_pause_meanwhile], quick=2)
def test_a_sitting_that_failed_is_repeated_at_the_next_tick(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory, trouble: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(live.home)
    council_program(live, *PROGRAM)
    trouble(live, kraken)

    tick(live)
    assert sides(kraken) == []
    (live.home / "data" / "HALT").unlink(missing_ok=True)
    hourly.tick(QUARTER)

    assert ticks(live, hourly, 2) == [["BUY"], []]
    assert sides(kraken) == ["buy"]


# A run that is killed, and an order without an answer


def kill_at_its_order(live: BotRunner, kraken: FakeKraken) -> None:
    """A tick that is killed once Kraken has its order: its sitting has no end."""
    runs: list[ForkedRun] = []
    kraken.after = lambda request: [run.kill() for run in runs] if request.endpoint == "AddOrder" else None
    runs.append(live.fork("tick"))
    assert runs[0].wait()[0] == -signal.SIGKILL
    kraken.after = None


def lose_the_answer(live: BotRunner, kraken: FakeKraken) -> None:
    """A tick whose order arrives, and which never hears of it."""
    kraken.fault("AddOrder", "drop_after")
    kraken.fault("OpenOrders", "status", times=30, status=502)
    live.run("tick")
    kraken.clear_faults()


@parametrize("tick_with_order", [kill_at_its_order, lose_the_answer], quick=2)
def test_a_signal_whose_buy_was_carried_out_buys_once(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory, tick_with_order: Any
) -> None:
    """The stop sells it before the next sitting, and there is no cool-down that would keep it from a second buy."""
    live.set(COOLDOWN_MINUTES="0")
    council_says(live, "BUY")
    tick_with_order(live, kraken)
    hourly.tick(QUARTER)
    kraken.set_price("BTC/USD", 48100)

    assert ticks(live, hourly, 2) == [[], []]
    assert sides(kraken) == ["buy", "sell"]
    hourly.tick(QUARTER)

    assert ticks(live, hourly, 2) == [["BUY"], []]


def test_a_signal_whose_sale_was_carried_out_is_done_with(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    live.set(COOLDOWN_MINUTES="0")
    buy(live)
    council_says(live, "SELL")
    kill_at_its_order(live, kraken)
    council_says(live, "BUY")
    hourly.tick(QUARTER)

    assert ticks(live, hourly, 3) == [[], [], []]
    assert ticks(live, hourly, 1) == [["BUY"]]
    assert sides(kraken) == ["buy", "sell", "buy"]


def test_a_signal_whose_buy_never_arrived_is_bought_once_that_is_known(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    """Nobody is asked while its order may still have bought, and the signal does not lapse."""
    council_says(live, "BUY")
    kraken.fault("AddOrder", "drop_before")
    kraken.fault("OpenOrders", "status", times=30, status=502)

    assert ticks(live, hourly, 2) == [["BUY"], ["HOLD"]]
    kraken.clear_faults()

    assert ticks(live, hourly, 2) == [["BUY"], []]
    assert sides(kraken) == ["buy"]


def test_a_buy_that_a_rule_refuses_lapses(live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory) -> None:
    live.set(COOLDOWN_MINUTES="20")
    council_says(live, "BUY")
    buy(live)
    live.run("sell", "BTC/USD", "--yes")

    assert ticks(live, hourly, 5) == [["HOLD"], [], [], [], ["BUY"]]
    assert sides(kraken) == ["buy", "sell", "buy"]


def test_a_validated_tick_leaves_the_sitting_to_the_next_one(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    council_says(live, "BUY")

    run = live.run("tick", "--validate")

    assert run.exit_code == 0, output_of(run)
    assert tick(live) == ["BUY"]
    assert sides(kraken) == ["buy"]


def test_another_signal_timeframe_sits_for_its_own_candles(live: BotRunner, hourly: FrozenDateTimeFactory) -> None:
    council_says(live, "HOLD")
    hourly.tick(HOUR)
    assert tick(live) == ["HOLD"]  # for the candle that closed at one

    live.set(SIGNAL_TIMEFRAME="4h")
    assert ticks(live, hourly, 1) == [[]]  # the one that closed at noon is older
    live.set(SIGNAL_TIMEFRAME="30m")
    hourly.tick(QUARTER)

    assert ticks(live, hourly, 2) == [["HOLD"], []]


# What a price may be


def test_an_entry_believes_what_fits_the_age_of_the_newest_close(live: BotRunner, kraken: FakeKraken) -> None:
    """An ATR of 1,000 in four hours is 250 in a quarter: five of them are less than 5 %, twenty are 10 %."""
    live.set(SIGNAL_TIMEFRAME="4h")
    kraken.flat_candles("BTC/USD", 50000, 1000, interval=240)
    kraken.set_price("BTC/USD", 54000)
    with noon() as clock:
        fresh = live.run("buy", "BTC/USD", "100", "--yes")
        clock.tick(4 * HOUR - QUARTER)
        old = live.run("buy", "BTC/USD", "100", "--yes")

    assert "is not believed" in output_of(fresh)
    assert old.exit_code == 0, output_of(old)
    assert sides(kraken) == ["buy"]


def test_a_lie_that_a_long_atr_would_allow_sells_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    """Ten ATR of four hours are 60 %; of what a price moves in a quarter of an hour they are 15 %, so 30 % count."""
    live.set(SIGNAL_TIMEFRAME="4h")
    kraken.flat_candles("BTC/USD", 50000, 3000, interval=240)
    with noon() as clock:
        buy(live)
        clock.tick(QUARTER)
        kraken.markets.lie_about("BTC/USD", "abc", "0.6", 1)

        run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy"]


def test_missed_closes_are_those_of_ticks(live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory) -> None:
    council_says(live, "HOLD")
    buy(live)
    hourly.tick(3 * QUARTER)
    kraken.set_candles("BTC/USD", [50000] * 198 + [48100, 50000])  # below the stop for one candle of a tick

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_a_lost_trade_comes_back_with_the_atr_of_its_signals(
    live: BotRunner, kraken: FakeKraken, hourly: FrozenDateTimeFactory
) -> None:
    buy(live)
    before = trade_of(live)
    for file in (live.home / "data").glob("live.db*"):
        file.unlink()
    live.run("init")

    run = live.run("recover", "--apply", "--yes")

    assert run.exit_code == 0, output_of(run)
    after = trade_of(live)
    assert (after["atr"], after["stop_loss_price"]) == (before["atr"], before["stop_loss_price"])
    assert after["stop_loss_price"] == "48200.0"
