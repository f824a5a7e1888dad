"""Story 1: market orders on Kraken, recorded with the exchange's own figures."""

from decimal import Decimal

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken


def test_a_buy_is_recorded_with_krakens_figures_and_its_stop_to_the_cent(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 50000, bid=49995, ask=50005)

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    [trade] = live.trades()
    order = kraken.orders[0]
    assert trade["status"] == "OPEN"
    assert Decimal(trade["amount"]) == order.vol_exec == Decimal("0.00199980")
    assert Decimal(trade["entry_price"]) == order.cost / order.vol_exec
    assert Decimal(trade["entry_cost"]) == order.cost
    assert Decimal(trade["entry_fee"]) == order.fee > 0
    assert trade["entry_order_id"] == order.txid
    assert Decimal(trade["atr"]) == 500
    assert round(Decimal(trade["stop_loss_price"]), 2) == Decimal("49005.00")


def test_a_sell_closes_the_trade_with_profit_to_the_last_digit(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")
    before = kraken.balances["ZUSD"]
    kraken.set_price("BTC/USD", 51000)

    run = live.run("sell", "BTC/USD", "--yes")

    assert run.exit_code == 0, run.stderr
    [trade] = live.trades()
    bought, sold = kraken.orders
    assert trade["status"] == "CLOSED"
    assert trade["exit_reason"] == "MANUAL"
    assert Decimal(trade["pnl"]) == sold.cost - sold.fee - bought.cost - bought.fee
    assert kraken.balances["ZUSD"] - before == sold.cost - sold.fee


def test_a_second_buy_of_the_asset_is_refused_also_through_another_quote(live: BotRunner, kraken: FakeKraken) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")

    again = live.run("buy", "BTC/USD", "100", "--yes")
    other = live.run("buy", "BTC/EUR", "100", "--yes")

    assert (again.exit_code, other.exit_code) == (3, 3)
    assert "BTC already has trade 1" in other.stderr
    assert len(kraken.orders) == 1
