"""What is dust: only what the exchange itself refuses to sell, and never by our own reading of its minimums."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken, Instant, PartialThenCanceled, Request
from tests.fake_kraken.faults import Reply
from tests.quick import parametrize
from tests.scenarios.journal_tools import only, open_position, sent
from tests.scenarios.steps import output_of

TOO_SMALL = "EGeneral:Invalid arguments:volume minimum not met"


def forget_markets(live: BotRunner) -> None:
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")


def sell_all_but(live: BotRunner, kraken: FakeKraken, fraction: str) -> Run:
    """The stop is hit, and of each order only this fraction is sold. The run goes on with the rest at once."""
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(Decimal(fraction))
    run = live.run("check-positions")
    kraken.account.fill_mode = Instant()
    return run


def test_a_small_rest_that_the_exchange_refuses_is_dust_and_no_error(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)

    run = sell_all_but(live, kraken, "0.995")

    assert run.exit_code == 0, output_of(run)
    assert "0.00001 BTC is below the order minimum of BTC/USD: left as dust" in run.stderr
    assert len(sent(kraken, "sell")) == 2
    trade, (bought, sold) = only(live.trades()), kraken.orders
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    share = (bought.cost + bought.fee) * Decimal("0.995")
    assert abs(Decimal(trade["pnl"]) - (sold.cost - sold.fee - share)) < Decimal("0.000001")


@pytest.mark.usefixtures("bent_time", "no_charts")
def test_a_rest_above_one_percent_is_refused_twice_before_it_is_dust_and_is_an_alarm(
    live: BotRunner, kraken: FakeKraken
) -> None:
    open_position(live)
    live.set(NOTIFY_URLS="json://127.0.0.1:9/nobody")

    run = sell_all_but(live, kraken, "0.98")

    assert run.exit_code == 1, output_of(run)
    assert "0.00004 BTC is below the order minimum" in run.stderr
    assert len(sent(kraken, "sell")) == 3
    assert only(live.trades())["status"] == "CLOSED"
    assert [row for row in live.rows()["outgoing"] if "left as dust" in str(row)]


@pytest.mark.usefixtures("bent_time")
def test_one_wrong_refusal_of_a_whole_position_makes_no_dust(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.fault("AddOrder", "error", error=TOO_SMALL)

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert (only(live.trades())["status"], kraken.balances["XXBT"]) == ("CLOSED", 0)


def test_a_wrong_minimum_in_the_list_of_markets_writes_nothing_off(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.markets["BTC/USD"].ordermin = Decimal(1000)
    forget_markets(live)
    live.run("balance")
    kraken.markets["BTC/USD"].ordermin = Decimal("0.00005")
    quiet = live.run("check-positions")
    kraken.set_price("BTC/USD", 48900)

    run = live.run("check-positions")

    assert (quiet.exit_code, run.exit_code) == (0, 0), output_of(run)
    assert (only(live.trades())["exit_reason"], kraken.balances["XXBT"]) == ("STOP_LOSS", 0)


def test_a_rest_that_was_not_refused_stays_open_and_guarded(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    live.run("sell", "BTC/USD", "0.00199", "--yes")

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.00001")
    assert len(sent(kraken, "sell")) == 1


def test_a_part_too_small_to_be_sold_is_refused_and_is_no_dust(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)

    run = live.run("sell", "BTC/USD", "0.00001", "--yes")

    assert run.exit_code == 4, output_of(run)
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.002")
    assert len(sent(kraken, "sell")) == 1


def test_an_amount_is_cut_to_the_lot_before_it_is_sent(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    below_a_lot = live.run("sell", "BTC/USD", "0.000000001", "--yes")

    run = live.run("sell", "BTC/USD", "0.0005000099", "--yes")

    assert (below_a_lot.exit_code, run.exit_code) == (2, 0), output_of(run)
    assert [Decimal(request.params["volume"]) for request in sent(kraken, "sell")] == [Decimal("0.0005")]


def test_a_rest_below_one_lot_is_dust_without_an_order(live: BotRunner, kraken: FakeKraken) -> None:
    assert live.run("buy", "BTC/USD", "102.5", "--yes").exit_code == 0
    kraken.markets["BTC/USD"].lot_decimals = 4
    forget_markets(live)
    live.run("balance")
    kraken.set_price("BTC/USD", 48900)
    live.run("check-positions")
    kraken.clear_requests()

    run = live.run("check-positions")

    assert "0.00005 BTC is less than one lot of BTC/USD" in output_of(run)
    assert sent(kraken, "sell") == []
    assert only(live.trades())["status"] == "CLOSED"


@parametrize("decimals", [2, 0, 5, 15], quick=1)
def test_a_wrong_lot_makes_no_dust_of_a_position(live: BotRunner, kraken: FakeKraken, decimals: int) -> None:
    open_position(live)

    def lie(request: Request, reply: Reply) -> Reply:
        if request.endpoint != "AssetPairs":
            return reply
        return replace(reply, body=reply.body.replace(b'"lot_decimals":8', b'"lot_decimals":%d' % decimals))

    kraken.alter_reply = lie
    forget_markets(live)
    kraken.set_price("BTC/USD", 48900)

    run = live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"
    assert kraken.balances["XXBT"] == 0
