"""This machine's clock was wrong once, ahead or behind: nothing that it wrote then disarms a stop or locks anything."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from tests.bent_time import sleeping_moves
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.steps import (
    QUARTER,
    buy,
    council_says,
    execute_sql,
    output_of,
    requested_endpoints,
    sides,
    stopped_clock,
    trade_of,
)
from tests.scenarios.test_late_ticks import candles_end_with

AHEAD, BEHIND = timedelta(days=30), timedelta(days=-2)


@contextmanager
def wrong_clock(
    clock: Callable[[], datetime], kraken: FakeKraken, by: timedelta, *, kraken_too: bool = False
) -> Iterator[None]:
    """A while in which this machine's clock is wrong; Kraken's goes right, unless the whole world is moved."""
    true = clock()
    kraken.clock.offset = 0.0 if kraken_too else -by.total_seconds()
    with freeze_time(true.replace(tzinfo=UTC) + by) as wrong, sleeping_moves(wrong):
        yield
    kraken.clock.offset = 0.0


# The gap of a trade


@parametrize_pairs(("kraken_too", "command"), [False, True], ["check-positions", "tick"])
def test_a_check_in_the_future_hides_no_gap(
    live: BotRunner, kraken: FakeKraken, kraken_too: bool, command: str
) -> None:
    council_says(live, "HOLD")
    with stopped_clock() as clock:
        buy(live)
        with wrong_clock(clock, kraken, AHEAD, kraken_too=kraken_too):
            live.run(command)
        clock.tick(4 * QUARTER)
        candles_end_with(kraken, [49500, 48900, 50400, 50300])
        kraken.set_price("BTC/USD", 50300)

        run = live.run(command)

        assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)


def test_a_stop_that_rose_under_a_clock_ahead_sells_by_no_close_from_before_it_rose(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(4 * QUARTER)
        candles_end_with(kraken, [50100, 50200, 50300, 52000])
        kraken.set_price("BTC/USD", 53000)
        with wrong_clock(clock, kraken, AHEAD, kraken_too=True):
            live.run("check-positions")
        clock.tick(QUARTER)
        candles_end_with(kraken, [50100, 50200, 50300, 52000, 52900])

        run = live.run("check-positions")

        trade = trade_of(live)
        assert (run.exit_code, trade["status"], trade["stop_loss_price"]) == (0, "OPEN", "52000.0"), output_of(run)


@parametrize("kraken_too", [False, True], quick=1, ids=["kraken is right", "nobody is right"])
def test_a_check_by_a_clock_behind_replays_no_close_from_before_the_entry(
    live: BotRunner, kraken: FakeKraken, kraken_too: bool
) -> None:
    with stopped_clock() as clock:
        candles_end_with(kraken, [48000] * 8 + [50000])
        buy(live)
        clock.tick(QUARTER)
        with wrong_clock(clock, kraken, BEHIND, kraken_too=kraken_too):
            live.run("check-positions")
        clock.tick(QUARTER)

        run = live.run("check-positions")

        assert trade_of(live)["status"] == "OPEN", output_of(run)
        assert sides(kraken) == ["buy"]


@parametrize("kraken_too", [False, True], quick=1, ids=["kraken is right", "nobody is right"])
def test_a_check_by_a_clock_behind_replays_no_close_that_was_seen(
    live: BotRunner, kraken: FakeKraken, kraken_too: bool
) -> None:
    """The stop rose to 52,000; earlier closes were below that, when it was not there yet."""
    with stopped_clock() as clock:
        buy(live)
        for _ in range(8):
            clock.tick(QUARTER)
            live.run("check-positions")
        kraken.set_price("BTC/USD", 53000)
        clock.tick(QUARTER)
        live.run("check-positions")
        candles_end_with(kraken, [50000] * 8 + [53000])
        with wrong_clock(clock, kraken, timedelta(seconds=-6 * QUARTER), kraken_too=kraken_too):
            live.run("check-positions")
        clock.tick(QUARTER)
        candles_end_with(kraken, [50000] * 8 + [53000, 53000])

        run = live.run("check-positions")

        trade = trade_of(live)
        assert (trade["status"], trade["stop_loss_price"]) == ("OPEN", "52000.0"), output_of(run)
        assert sides(kraken) == ["buy"]


def test_a_quiet_check_after_a_clock_was_wrong_costs_no_request_more(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        with wrong_clock(clock, kraken, AHEAD):
            live.run("check-positions")
        clock.tick(QUARTER)
        live.run("check-positions")
        kraken.clear_requests()
        clock.tick(QUARTER)
        run = live.run("check-positions")

        assert run.exit_code == 0, output_of(run)
        assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "Ticker"]


# Locks


def session_state(live: BotRunner) -> dict[str, float]:
    [text] = [row[2] for row in live.rows()["memory"] if row[1] == "kraken.session"]
    state: dict[str, float] = json.loads(text)
    return state


def test_a_lock_out_of_a_clock_that_was_ahead_keeps_no_stop_from_being_sold(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        buy(live)
        with wrong_clock(clock, kraken, AHEAD):
            kraken.fault("BalanceEx", "error", error="EGeneral:Temporary lockout")
            assert live.run("balance").exit_code == 69
        kraken.clear_faults()
        kraken.set_price("BTC/USD", 48999)

        run = live.run("check-positions")

        assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)


def test_a_lock_out_of_now_is_kept_to(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        kraken.fault("BalanceEx", "error", error="EGeneral:Temporary lockout")
        live.run("balance")
        kraken.clear_faults()
        kraken.clear_requests()
        clock.tick(14 * 60)
        locked = live.run("balance")
        asked = kraken.count("BalanceEx")
        clock.tick(61)

        assert (locked.exit_code, asked, live.run("balance").exit_code) == (69, 0, 0)


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
@parametrize("ahead", [timedelta(days=40), timedelta(hours=1), timedelta(days=300)], quick=1)
def test_a_nonce_of_a_clock_that_was_ahead_costs_a_few_refusals(
    live: BotRunner, kraken: FakeKraken, ahead: timedelta
) -> None:
    """Another database used the key with a clock that was ahead: ours knows nothing of its nonces."""
    buy(live)
    kraken.key.last_nonce = int((datetime.now(UTC) + ahead).timestamp() * 1000)
    kraken.set_price("BTC/USD", 48999)

    for _ in range(8):
        run = live.run("check-positions")

    assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)
    assert session_state(live)["nonce_refusals"] == 0


@pytest.mark.usefixtures("bent_time")
def test_an_exit_in_the_future_lets_an_asset_cool_down_no_month(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("sell", "BTC/USD", "--yes")
    execute_sql(
        live, f"UPDATE trade SET exit_time = '{(datetime.now(UTC) + AHEAD).isoformat(timespec='microseconds')}'"
    )

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, output_of(run)


def test_an_order_of_a_clock_that_was_ahead_is_settled_and_its_trade_sold(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        kraken.set_price("BTC/USD", 48999)
        with wrong_clock(clock, kraken, AHEAD):
            kraken.fault("AddOrder", "drop_before", times=1)
            kraken.fault("OpenOrders", "status", times=99)
            kraken.fault("ClosedOrders", "status", times=99)
            assert live.run("check-positions").exit_code == 69
        kraken.clear_faults()
        clock.tick(QUARTER)

        run = live.run("check-positions")

        assert trade_of(live)["status"] == "CLOSED", output_of(run)


# What is had again


def test_caches_of_a_clock_that_was_ahead_are_had_again(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "HOLD")
    with stopped_clock() as clock:
        with wrong_clock(clock, kraken, AHEAD):
            live.run("tick")
        kraken.clear_requests()
        clock.tick(QUARTER)

        live.run("tick")

        asked = requested_endpoints(kraken)
        assert "AssetPairs" in asked
        assert "GetApiKeyInfo" in asked or "ClosedOrders" in asked
