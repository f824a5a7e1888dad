"""Answers that nobody could mean: one of them costs no position, sends no order, and leaves no trace that lasts."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.fake_kraken.orders import order_json, trade_json
from tests.fake_kraken.public_endpoints import ticker_json
from tests.quick import parametrize
from tests.scenarios.journal_tools import only, open_position, sent
from tests.scenarios.steps import output_of, sides, trade_of


def answer(kraken: FakeKraken, endpoint: str, result: dict[str, Any], **options: Any) -> None:
    kraken.fault(endpoint, "shape", body={"error": [], "result": result}, **options)


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_an_order_under_another_orders_id_is_found_by_its_own(live: BotRunner, kraken: FakeKraken) -> None:
    answer(kraken, "AddOrder", {"txid": ["OAAAAA-BBBBB-CCCCCC"]}, processed=True)
    first = live.run("buy", "BTC/USD", "100", "--yes")
    with later(minutes=15):
        second = live.run("tick")

    assert (first.exit_code, second.exit_code) == (69, 0), output_of(second)
    assert only(live.positions())["entry_order_id"] == kraken.orders[0].txid
    assert len(sent(kraken)) == 1


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_an_id_that_leads_to_somebody_elses_order_settles_nothing_by_it(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.run("buy", "ETH/USD", "50", "--yes")
    answer(kraken, "AddOrder", {"txid": [kraken.orders[0].txid]}, processed=True)
    live.run("buy", "BTC/USD", "100", "--yes")
    with later(minutes=15):
        live.run("tick")

    assert Decimal(trade_of(live)["entry_cost"]) == 100
    assert trade_of(live)["entry_order_id"] == kraken.orders[1].txid


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_more_than_was_asked_for_is_not_believed(live: BotRunner, kraken: FakeKraken) -> None:
    def swell(request: Request) -> None:
        if request.endpoint == "QueryOrders" and len(kraken.orders) == 1:
            [order], [fill] = kraken.orders, kraken.trades
            record = order_json(order, kraken.markets["BTC/USD"]) | {"trades": [fill.id]}
            answer(kraken, "QueryOrders", {order.txid: record | {"vol_exec": "0.004", "vol": "0.004"}}, times=99)
            made = trade_json(fill, kraken.markets["BTC/USD"])
            answer(kraken, "QueryTrades", {fill.id: made | {"vol": "0.004", "cost": "200"}}, times=99)

    kraken.after = swell
    run = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.after = None
    kraken.clear_faults()
    live.run("tick")

    assert run.exit_code == 69
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.002")


@parametrize("moment", [253402300700, 0, -1], quick=1)
def test_a_fill_of_another_age_starts_no_endless_cool_down(moment: int, live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)

    def age(request: Request) -> None:
        if request.endpoint == "QueryOrders":
            fill = kraken.trades[-1]
            answer(kraken, "QueryTrades", {fill.id: trade_json(fill, kraken.markets["BTC/USD"]) | {"time": moment}})

    kraken.after = age
    assert live.run("sell", "BTC/USD", "--yes").exit_code == 0
    kraken.after = None
    with later(minutes=61):
        again = live.run("buy", "BTC/USD", "100", "--yes")

    assert again.exit_code == 0, output_of(again)


@pytest.mark.usefixtures("bent_time")
def test_one_balance_that_is_too_small_shrinks_no_trade(live: BotRunner, kraken: FakeKraken) -> None:
    open_position(live)
    kraken.set_price("BTC/USD", 48000)
    answer(kraken, "BalanceEx", {"ZUSD": {"balance": "9899.6"}, "XXBT": {"balance": "0.001", "hold_trade": "0"}})

    run = live.run("check-positions")

    assert run.exit_code == 69
    assert "0.001 BTC are missing" in run.stderr
    assert [order.volume for order in kraken.orders if order.side == "sell"] == [Decimal("0.002")]
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"


@pytest.mark.usefixtures("bent_time")
@pytest.mark.parametrize("ask", ["5000", "500000"])
def test_an_ask_far_from_the_last_price_buys_nothing(ask: str, live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 50000, bid=49990, ask=Decimal(ask))

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 1
    assert "is not believed" in run.stderr
    assert sent(kraken) == []


@pytest.mark.usefixtures("bent_time")
def test_a_last_price_far_above_its_ask_is_looked_at_again_and_moves_no_stop(
    live: BotRunner, kraken: FakeKraken
) -> None:
    before = open_position(live)
    shown = ticker_json(kraken.markets["BTC/USD"]) | {"c": ["500000000.0", "0.1"]}
    answer(kraken, "Ticker", {"XXBTZUSD": shown})

    run = live.run("check-positions")
    live.run("check-positions")

    assert run.exit_code == 0, output_of(run)
    assert "is far from its last price, 500000000; looking again" in run.stderr
    assert only(live.positions())["stop_loss_price"] == before["stop_loss_price"]
    assert sides(kraken) == ["buy"]


@pytest.mark.parametrize("text", ["EGeneral:\ud800", "EGeneral:\x1b[2J\x00", "E" * 5000])
def test_a_refusal_in_strange_letters_is_written_down(text: str, live: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("AddOrder", "error", error=f"EOrder:Insufficient funds{text}")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 4, output_of(run)
    assert run.stderr.count("\n") == 1
    assert run.stderr.strip().isprintable()
    assert only(live.orders())["state"] == "REJECTED"
