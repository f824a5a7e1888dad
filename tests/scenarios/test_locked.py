"""A database that another process keeps locked, or a disk that takes no more, in the middle of a run: nothing is sent
twice, other trades keep their stops, and what was done is told."""

import pytest

from botctl.config import LockTimeouts
from tests.bot_runner import BotRunner
from tests.corruption import limited_file_size
from tests.databases import Writer
from tests.fake_kraken import FakeKraken, Request
from tests.scenarios.journal_tools import client_ids, only, sent
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of


@pytest.fixture
def other(live: BotRunner) -> Writer:
    """The other process. A run waits for it a fifth of a second."""
    live.wait_for_others(LockTimeouts(statement=0.2))
    return Writer(live.where)


def take_at(kraken: FakeKraken, other: Writer, endpoint: str, *, moment: str = "before", **options: float) -> None:
    """The other process begins to write when a request arrives, or once it is processed."""

    def take(request: Request) -> None:
        if request.endpoint == endpoint:
            other.take(**options)

    setattr(kraken, moment, take)


@pytest.mark.usefixtures("bent_time")
def test_a_sell_whose_answer_cannot_be_written_is_unknown_and_found_by_the_next_run(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    council_says(live, "SELL")
    take_at(kraken, other, "AddOrder")

    run = live.run("tick")
    orders = live.orders()
    other.commit()
    kraken.before = None
    after = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert "was sent, and the answer could not be recorded" in run.stderr
    assert "bug:" not in output_of(run)
    assert [order["state"] for order in orders] == ["FILLED", "SUBMITTED"]
    assert after.exit_code == 0, output_of(after)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert len(client_ids(sent(kraken, "sell"))) == len(sent(kraken, "sell")) == 1


@pytest.mark.usefixtures("bent_time")
def test_a_buy_whose_answer_cannot_be_written_is_adopted_with_its_stop(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    take_at(kraken, other, "AddOrder")

    run = live.run("buy", "BTC/USD", "100", "--yes")
    again = live.run("buy", "BTC/USD", "100", "--yes")
    other.commit()
    kraken.before = None
    live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert "don't repeat it" in run.stderr
    assert again.exit_code != 0
    assert sides(kraken) == ["buy"]
    assert only(live.positions())["stop_loss_price"] == "49000.0"


def test_a_refusal_that_cannot_be_written_sends_no_second_order(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    """A refused deadline is followed by a fresh sell, but only once the first one's ending stands in the journal."""
    buy(live)
    kraken.clear_requests()
    kraken.fault("AddOrder", "error", error="EGeneral:Invalid arguments:deadline")
    take_at(kraken, other, "AddOrder")

    run = live.run("sell", "BTC/USD", "--yes")
    other.commit()

    assert run.exit_code == 69, output_of(run)
    assert kraken.count("AddOrder") == 1


@pytest.mark.waits
@pytest.mark.usefixtures("bent_time")
def test_the_other_stops_are_sold_in_the_same_run(live: BotRunner, kraken: FakeKraken, other: Writer) -> None:
    """The lock lasts until the first sell's answer has been given up, and ends while the second waits for it."""
    live.wait_for_others(LockTimeouts(statement=2))
    kraken.flat_candles("ETH/USD", 2500, 25)
    buy(live)
    buy(live, "ETH/USD")
    kraken.set_price("BTC/USD", 40000)
    kraken.set_price("ETH/USD", 2000)
    take_at(kraken, other, "AddOrder", commit_after=5)

    run = live.run("check-positions")
    kraken.before = None
    after = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert [order.symbol for order in kraken.orders if order.side == "sell"] == ["BTC/USD", "ETH/USD"]
    assert after.exit_code == 0, output_of(after)
    assert {trade["status"] for trade in live.trades()} == {"CLOSED"}
    assert len(sent(kraken, "sell")) == 2


@pytest.mark.usefixtures("bent_time")
def test_an_ending_that_cannot_be_written_does_not_look_written(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    buy(live)
    take_at(kraken, other, "QueryTrades")
    kraken.fault("QueryOrders", "error", skip=1, error="EGeneral:Temporary lockout")  # so that it looks up once

    run = live.run("sell", "BTC/USD", "--yes")
    other.commit()
    kraken.before = None
    after = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert "is ACCEPTED" in run.stderr
    assert after.exit_code == 0, output_of(after)
    assert trade_of(live)["status"] == "CLOSED"
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.waits
def test_a_note_that_cannot_be_made_does_not_cost_the_answer_it_is_about(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    """The rate counter can't be kept after the balance call, and the balances are used all the same."""
    live.wait_for_others(LockTimeouts(statement=1))
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    take_at(kraken, other, "BalanceEx", moment="after", commit_after=1.5)

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert "can't be saved" in run.stderr
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


def test_a_tick_that_cannot_be_recorded_still_tells_what_it_sold(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    live.set(SYMBOLS="BTC/USD,ETH/USD")  # after its exit nobody is asked about the first
    council_says(live, "HOLD")
    take_at(kraken, other, "OHLC")

    run = live.run("tick", "--json")
    other.commit()

    answer = run.json()
    assert run.exit_code == 75, output_of(run)
    assert [result["reason"] for result in answer["exits"]] == ["STOP_LOSS"]
    assert {step["name"] for step in answer["steps"] if not step["ok"]} == {"council", "record"}
    assert "bug:" not in output_of(run)


@pytest.mark.waits
def test_stops_that_cannot_be_saved_are_sold_when_they_are_hit(
    live: BotRunner, kraken: FakeKraken, other: Writer
) -> None:
    live.wait_for_others(LockTimeouts(statement=1.5))
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    kraken.fault("Ticker", "hang_before", seconds=0.5)  # the balances are in by then
    take_at(kraken, other, "Ticker", moment="after", commit_after=2.2)

    run = live.run("check-positions")

    assert run.exit_code == 75, output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert sides(kraken) == ["buy", "sell"]


@pytest.mark.sqlite("a full disk of a server is the server's own")
@pytest.mark.parametrize("kilobytes", [40, pytest.param(60, marks=pytest.mark.long)])
def test_a_full_disk_is_no_bug_and_the_next_run_sells_once(live: BotRunner, kraken: FakeKraken, kilobytes: int) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)

    with limited_file_size(kilobytes * 1024):
        process = live.fork("tick")
    out, err = process.communicate(timeout=60)
    after = live.run("tick")

    assert process.returncode in (1, 69), out + err
    assert "bug:" not in out + err
    assert "Traceback" not in err
    assert after.exit_code == 0, output_of(after)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert len(sent(kraken, "sell")) == 1
