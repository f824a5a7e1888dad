"""Days on which several things are wrong at once, each of which once cost a position its guard."""

import dataclasses
import time
import uuid
from decimal import Decimal

import pytest

from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, PartialThenCanceled
from tests.quick import parametrize
from tests.scenarios.journal_tools import only, open_position, place_by_hand, run_until, sent


def forget_krakens_time(live: BotRunner) -> None:
    live.execute("DELETE FROM memory WHERE key = 'kraken.clock'")


@parametrize("text", ["EService:Unavailable", "EAPI:Rate limit exceeded", "EGeneral:Internal error"], quick=1)
def test_a_time_answer_that_is_an_error_is_asked_again_and_the_stop_sells(
    text: str, live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    forget_krakens_time(live)
    kraken.set_price("BTC/USD", 48000)
    kraken.fault("Time", "error", error=text)

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


def test_a_time_that_was_never_known_keeps_no_stop_from_being_sent(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    forget_krakens_time(live)
    kraken.set_price("BTC/USD", 48000)
    kraken.fault("Time", "error", error="EService:Unavailable", times=50)

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


@pytest.mark.long
def test_a_lost_order_and_a_time_that_cannot_be_had_leave_the_other_stops_guarded(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.run("buy", "ETH/USD", "100", "--yes")
    run_until(live, kraken, "AddOrder", "before", "buy", "BTC/USD", "100", "--yes")
    kraken.fault("Time", "error", error="EGeneral:Permission denied", times=20)
    kraken.set_price("ETH/USD", 2000)

    run = live.run("tick")

    assert run.exit_code in (1, 69)
    assert [order.symbol for order in kraken.orders if order.side == "sell"] == ["ETH/USD"]


@pytest.mark.usefixtures("bent_time")
@parametrize("price", ["100", "0.00001"], quick=1)
def test_one_absurdly_low_price_writes_no_position_off(price: str, live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", Decimal(price), bid=Decimal(48000), ask=Decimal(48010))

    live.run("check-positions")

    trade = only(live.trades())
    assert (trade["status"], kraken.balances["XXBT"]) == ("CLOSED", 0), "sold at the market's price, not forgotten"
    assert Decimal(trade["exit_price"]) == 48000


@pytest.mark.usefixtures("bent_time")
def test_a_rest_that_kraken_itself_finds_too_cheap_closes_as_dust(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.markets["BTC/USD"].costmin = Decimal(200)
    kraken.set_price("BTC/USD", 48000)
    live.run("balance")
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")

    run = live.run("check-positions")

    assert run.exit_code == 1, "a whole position is an alarm"
    assert "left as dust" in run.stderr
    assert only(live.trades())["status"] == "CLOSED"
    assert len(sent(kraken, "sell")) == 2, "asked twice before it was believed"


def test_a_rest_that_is_refused_for_another_reason_is_no_dust(live: BotRunner, kraken: FakeKraken) -> None:
    """It is below the minimum by the same figures, and Kraken gives another reason: perhaps the figures are old."""
    open_position(live)
    kraken.markets["BTC/USD"].costmin = Decimal(200)
    kraken.set_price("BTC/USD", 48000)
    live.run("balance")
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")
    kraken.fault("AddOrder", "error", error="EAccount:Invalid permissions:the minimum age is 18")

    run = live.run("check-positions")

    assert run.exit_code == 4, run.stderr
    assert only(live.positions())["status"] == "OPEN"


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_many_lost_answers_are_looked_up_together_and_no_run_waits_for_minutes(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(MAX_OPEN_TRADES="50")
    symbols = kraken.markets.add_many(5, last=100)
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")
    for symbol in symbols:
        kraken.flat_candles(symbol, 100, 1)
        assert live.run("buy", symbol, "100", "--yes").exit_code == 0
    for symbol in symbols:
        kraken.set_price(symbol, 90)
    kraken.fault("AddOrder", "drop_after", times=5)
    started = time.monotonic()

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert time.monotonic() - started < 15
    assert {trade["status"] for trade in live.trades()} == {"CLOSED"}
    assert len(sent(kraken, "sell")) == 5


def test_bad_candles_of_one_symbol_keep_no_other_from_catching_up(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    kraken.flat_candles("ETH/USD", 3000, 30)
    kraken.set_price("ETH/USD", 3000)
    open_position(live)
    assert live.run("buy", "ETH/USD", "100", "--yes").exit_code == 0

    with later(minutes=66):
        kraken.set_price("BTC/USD", 50000)
        kraken.set_candles("ETH/USD", [3000] * 120 + [2900, 3000, 3000])
        kraken.set_candles("BTC/USD", [["50000", "40000", "60000", "50000"]] * 120)  # a high below its low
        run = live.run("check-positions")

    assert run.exit_code == 69
    assert {trade["symbol"]: trade["status"] for trade in live.trades()} == {"BTC/USD": "OPEN", "ETH/USD": "CLOSED"}


def test_a_sell_by_hand_that_is_refused_does_not_call_off_a_stop(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48000)
    kraken.fault("AddOrder", "error", error="EGeneral:Permission denied", times=2)
    live.run("check-positions")
    live.run("sell", "BTC/USD", "--yes")
    kraken.set_price("BTC/USD", 52000)

    live.run("check-positions")

    assert (only(live.trades())["status"], only(live.trades())["exit_reason"]) == ("CLOSED", "STOP_LOSS")


@pytest.mark.usefixtures("bent_time")
def test_a_sell_that_sold_nothing_is_an_error(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.account.fill_mode = PartialThenCanceled(Decimal(0))

    by_hand, all_of_it = live.run("sell", "BTC/USD", "--yes"), live.run("liquidate", "--yes")

    assert (by_hand.exit_code, all_of_it.exit_code) == (1, 1)
    assert "0 of 0.002 BTC/USD was sold" in all_of_it.stderr


def test_a_pause_while_kraken_is_asked_for_its_time_stops_the_entry(live: BotRunner, kraken: FakeKraken) -> None:
    forget_krakens_time(live)
    kraken.before = lambda request: (live.home / "data" / "HALT").touch() if request.endpoint == "Time" else None

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 3
    assert kraken.orders == []


def test_a_tripped_at_that_nobody_can_read_pauses_and_sells_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    live.execute("UPDATE systemconfig SET value = 'garbage' WHERE key = 'tripped_at'")

    run = live.run("tick")

    assert run.exit_code == 0, run.stderr
    assert only(live.positions())["status"] == "OPEN"
    assert live.json("status")["system_status"] == "PAUSED"


def test_a_refusal_that_names_an_order_is_looked_up(live: BotRunner, kraken: FakeKraken) -> None:
    both = {"error": ["EOrder:Insufficient funds"], "result": {"txid": ["OAAAAA-BBBBB-CCCCCC"]}}
    kraken.fault("AddOrder", "shape", processed=True, body=both)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert only(live.positions())["entry_order_id"] == kraken.orders[0].txid


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_one_record_that_cannot_be_read_hides_no_other_orders_ending(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.flat_candles("ETH/USD", 2500, 25)
    open_position(live)
    live.run("buy", "ETH/USD", "100", "--yes")
    kraken.set_price("BTC/USD", 48000)
    kraken.set_price("ETH/USD", 2000)

    def spoil(request: object) -> None:
        eth = [order for order in kraken.orders if order.symbol == "ETH/USD" and order.side == "sell"]
        for order in eth:
            order.status = "surprising"

    kraken.before = lambda request: spoil(request) if request.endpoint == "QueryOrders" else None
    run = live.run("check-positions")

    assert run.exit_code == 69
    assert {trade["symbol"]: trade["status"] for trade in live.trades()} == {"ETH/USD": "OPEN", "BTC/USD": "CLOSED"}


@pytest.mark.long
def test_a_stop_hit_in_a_gap_is_sold_later_when_it_could_not_be_at_once(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)

    resting = place_by_hand(kraken, "sell", Decimal("0.002"), 60000)  # the owner's own order holds the coins

    with later(minutes=66):
        kraken.set_candles("BTC/USD", [50000] * 120 + [48000, 50000, 50000])
        kraken.set_price("BTC/USD", 50000)
        live.run("check-positions")
        sent_at_first = len(sent(kraken, "sell"))
        kraken.account.cancel_order(resting)
        live.run("check-positions")

    assert sent_at_first == 1, "nothing but the owner's own order"
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_lost_orders_are_found_among_more_pages_than_anybody_reads(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.flat_candles("ETH/USD", 2500, 25)
    open_position(live)
    live.run("buy", "ETH/USD", "100", "--yes")
    history = kraken.orders[0]
    kraken.orders[:0] = [
        dataclasses.replace(history, txid=f"O{n:05}-AAAAA-AAAAAA", cl_ord_id=str(uuid.uuid4())) for n in range(300)
    ]
    kraken.set_price("BTC/USD", 48000)
    kraken.set_price("ETH/USD", 2000)
    kraken.fault("AddOrder", "drop_after", times=2)

    run = live.run("check-positions")

    assert run.exit_code == 0, run.stderr
    assert {trade["status"] for trade in live.trades()} == {"CLOSED"}
