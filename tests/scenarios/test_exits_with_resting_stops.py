"""When the exits of trades with resting stops leave: at once, whatever else the run has to ask for."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from botctl.domain.client_order_ids import ClientId
from botctl.store.database import close_database
from botctl.store.models import Order, Trade
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Never, PartialThenCanceled, Request
from tests.fake_kraken.orders import new_id
from tests.quick import parametrize
from tests.scenarios.journal_tools import only
from tests.scenarios.steps import buy, execute_sql, output_of, requested_endpoints, stopped_clock, trade_of

LOOK = 2
"""Requests of the look at prices and balances, which come first."""


@pytest.fixture
def two_hit(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """BTC has a resting stop and was checked a moment ago; ETH has none. The price of both is at the rule's stop."""
    live.set(EXCHANGE_STOP="on", SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    live.set(EXCHANGE_STOP="off")
    buy(live, "ETH/USD")
    kraken.set_price("BTC/USD", 48900)
    kraken.set_price("ETH/USD", 2445)
    kraken.clear_requests()
    return live


def check_late(live: BotRunner, symbol: str) -> None:
    """Have the checks of a day missed, for this symbol alone."""
    then = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="microseconds")
    execute_sql(
        live,
        f"UPDATE trade SET checked_at = '{then}', seen_at = '{then}', entry_time = '{then}' WHERE symbol = '{symbol}'",
    )


def test_cancel_and_sell_leave_before_the_candles_of_others(two_hit: BotRunner, kraken: FakeKraken) -> None:
    check_late(two_hit, "ETH/USD")

    run = two_hit.run("check-positions")

    asked = requested_endpoints(kraken)[LOOK:]
    assert asked[:4] == ["CancelOrder", "QueryOrders", "AddOrder", "OHLC"], output_of(run)
    assert trade_of(two_hit)["status"] == "CLOSED"


@parametrize("fault", [{"kind": "error", "error": "EGeneral:Permission denied"}, {"kind": "drop_after"}], quick=1)
def test_a_cancel_that_fails_holds_back_no_other_sell(
    two_hit: BotRunner, kraken: FakeKraken, fault: dict[str, str]
) -> None:
    kraken.fault("CancelOrder", **fault)

    with stopped_clock():
        run = two_hit.run("check-positions")

    asked = requested_endpoints(kraken)[LOOK:]
    assert asked[:2] == ["AddOrder", "CancelOrder"], output_of(run)
    assert {trade["status"] for trade in two_hit.trades()} == {"CLOSED"}
    assert [order.symbol for order in kraken.orders if order.side == "sell" and order.vol_exec] == [
        "ETH/USD",
        "BTC/USD",
    ]


@parametrize(("fault", "cancels"), [({"kind": "drop_before"}, 3), ({"kind": "hang_before", "seconds": 6}, 2)], quick=1)
def test_a_cancel_that_fails_holds_back_no_sell_that_still_needs_candles(
    two_hit: BotRunner, kraken: FakeKraken, fault: dict[str, Any], cancels: int
) -> None:
    """ETH has nothing at Kraken that guards it: its sell waits for one cancel, and that only for some seconds."""
    check_late(two_hit, "ETH/USD")
    kraken.fault("CancelOrder", times=2, **fault)
    asked_at: dict[str, float] = {}
    kraken.before = lambda request: asked_at.setdefault(request.endpoint, time.monotonic())

    run = two_hit.run("check-positions")

    asked = requested_endpoints(kraken)[LOOK:]
    assert asked[:3] == ["CancelOrder", "OHLC", "AddOrder"], output_of(run)
    assert asked_at["AddOrder"] - asked_at["CancelOrder"] < 5.9
    assert asked.count("CancelOrder") == cancels
    assert {trade["status"] for trade in two_hit.trades()} == {"CLOSED"}


def test_what_a_thin_market_leaves_is_sold_though_the_look_showed_it_on_hold(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.set_price("BTC/USD", 48900)
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.5"))

    with stopped_clock():
        run = live.run("check-positions")

    assert "on hold" not in output_of(run)
    sells = [order.vol_exec for order in kraken.orders if order.side == "sell" and order.trigger is None]
    assert sells == [Decimal("0.001"), Decimal("0.0005"), Decimal("0.00025")]


def test_of_many_hit_stops_the_first_sells_leave_as_early_as_of_one(live: BotRunner, kraken: FakeKraken) -> None:
    """Fifty are canceled, asked for and sold, and only then the next fifty: until then their own stops guard them."""
    live.set(EXCHANGE_STOP="on")
    symbols = kraken.markets.add_many(60)
    live.execute("DELETE FROM memory WHERE key = 'kraken.markets'")  # so that they are read
    buy(live, symbols[0], "100")
    copy_position(live, kraken, symbols[1:])
    for symbol in symbols:
        kraken.set_price(symbol, "0.975")
    kraken.clear_requests()

    run = live.run("check-positions")

    asked = requested_endpoints(kraken)[LOOK:]
    fifty, ten = (["CancelOrderBatch", "QueryOrders", *["AddOrder"] * count] for count in (50, 10))
    assert asked[:64] == [*fifty, *ten], output_of(run)
    assert not live.positions()


def copy_position(live: BotRunner, kraken: FakeKraken, symbols: list[str]) -> None:
    """The only position, with its resting stop, in other markets too."""
    live.open_store()
    trade, order = Trade.select().dicts().get(), Order.select().where(Order.trigger.is_null(False)).dicts().get()
    resting = only([each for each in kraken.orders if each.is_waiting])
    for number, symbol in enumerate(symbols, trade["id"] + 1):
        asset, mark = symbol.split("/")[0], f"{number:09x}"
        client_id = str(ClientId(mark, number, None, True, 1, resting=True))
        txid = new_id("O")
        Trade.create(**{**trade, "id": number, "symbol": symbol, "asset": asset, "mark": mark})
        named = {"client_order_id": client_id, "exchange_order_id": txid, "trade": number, "symbol": symbol}
        Order.create(**{**order, "id": None, **named})
        kraken.orders.append(replace(resting, txid=txid, cl_ord_id=client_id, symbol=symbol))
        kraken.account.balances[kraken.markets[symbol].base.id] = order["amount"]
    close_database()


def fire_when_canceled(kraken: FakeKraken) -> None:
    """The price falls through the trigger while the cancel is on its way."""

    def fall(request: Request) -> None:
        if request.endpoint == "CancelOrder":
            kraken.set_price("BTC/USD", 48400)

    kraken.before = fall


@parametrize("command", ["sell BTC/USD --yes", "sell BTC/USD 0.0005 --yes", "liquidate --yes"], quick=2)
def test_a_stop_that_fires_before_it_is_canceled_is_told_as_the_sale(
    live: BotRunner, kraken: FakeKraken, command: str
) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    fire_when_canceled(kraken)

    run = live.run(*command.split(), "--json")

    told = run.json()["exits"][0] if command.startswith("liq") else run.json()
    assert run.exit_code == 0, output_of(run)
    assert (told["state"], Decimal(told["filled"]), told["reason"]) == ("FILLED", Decimal("0.002"), "STOP_LOSS")
    assert [order.side for order in kraken.orders] == ["buy", "sell"]


def test_the_rest_of_a_stop_that_fires_in_part_before_it_is_canceled_is_sold_at_once(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    only([order for order in kraken.orders if order.is_waiting]).mode = Never(Decimal("0.25"))
    fire_when_canceled(kraken)

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, output_of(run)
    sells = [order.vol_exec for order in kraken.orders if order.side == "sell"]
    assert (sells, trade_of(live)["status"]) == ([Decimal("0.0005"), Decimal("0.0015")], "CLOSED")


def test_what_an_enlarged_stop_sells_before_it_is_canceled_is_said(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.balances["XXBT"] = Decimal("0.002")
    live.set(EXCHANGE_STOP="on")
    buy(live)
    stop = only([order for order in kraken.orders if order.is_waiting])
    kraken.account.amend(stop, Decimal(48500), Decimal("0.004"))
    kraken.set_price("BTC/USD", 48900)
    fire_when_canceled(kraken)

    run = live.run("check-positions")

    assert "0.002 more than the trade held" in run.stderr
    assert (run.exit_code, trade_of(live)["status"]) == (1, "CLOSED")


def test_a_stop_that_is_refused_is_sent_once_a_tick(live: BotRunner, kraken: FakeKraken) -> None:
    """Above all, no check of another trade's stop waits for the coins of this one."""
    buy(live)
    live.set(EXCHANGE_STOP="on")
    kraken.clear_requests()
    kraken.fault("AddOrder", "error", times=9, error="EOrder:Insufficient funds")

    run = live.run("tick")

    assert requested_endpoints(kraken).count("AddOrder") == 1
    assert run.stderr.count("has no resting stop") == 1
    assert "if your own orders hold its coins, cancel them" in run.stderr


def test_a_sell_by_hand_that_is_refused_leaves_a_resting_stop(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.fault("AddOrder", "error", error="EGeneral:Permission denied")

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 4, output_of(run)
    assert only([order for order in kraken.orders if order.is_waiting]).trigger == 48500


def test_a_liquidation_does_not_call_coins_missing_that_a_resting_stop_has_sold(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    buy(live, "ETH/USD")
    kraken.set_price("BTC/USD", 48000)

    run = live.run("liquidate", "--yes")

    assert run.exit_code == 0, output_of(run)
    assert run.stderr == ""
    assert [trade["exit_reason"] for trade in live.trades()] == ["STOP_LOSS", "LIQUIDATION"]
