"""One write that fails, for one trade: the others go on, and what was done is told."""

from decimal import Decimal

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.journal_tools import only, sent
from tests.scenarios.steps import buy, council_says, execute_sql, output_of, sides, trade_of


def spoil(live: BotRunner, write: str, when: str = "1") -> None:
    """Every such write fails from now on, where it is about the row that `when` tells."""
    if live.server:
        fails = "BEGIN RAISE division_by_zero; END"
        execute_sql(live, f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS '{fails}'")
        condition = "true" if when == "1" else when
        execute_sql(
            live, f"CREATE TRIGGER spoil BEFORE {write} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION spoil()"
        )
        return
    overflow = "SELECT abs(-9223372036854775807 - 1)"  # an error of the moment, not of a rule
    execute_sql(live, f"CREATE TRIGGER spoil BEFORE {write} WHEN {when} BEGIN {overflow}; END")


def allow_writes(live: BotRunner) -> None:
    execute_sql(live, "DROP FUNCTION spoil CASCADE" if live.server else "DROP TRIGGER spoil")


def two_positions(live: BotRunner, kraken: FakeKraken) -> None:
    """Trade 1 holds BTC, trade 2 ETH."""
    kraken.flat_candles("ETH/USD", 2500, 25)
    buy(live)
    buy(live, "ETH/USD")


def test_an_ending_that_cannot_be_written_leaves_the_others_written(live: BotRunner, kraken: FakeKraken) -> None:
    two_positions(live, kraken)
    kraken.set_price("BTC/USD", 40000)
    kraken.set_price("ETH/USD", 2000)
    spoil(live, "INSERT ON event", "NEW.kind = 'closed' AND NEW.trade_id = 1")
    kraken.fault("QueryOrders", "error", skip=1, error="EGeneral:Temporary lockout")  # so that it looks up once

    run = live.run("check-positions")
    trades = {trade["symbol"]: trade["status"] for trade in live.trades()}

    assert run.exit_code == 69, output_of(run)
    assert trades == {"BTC/USD": "OPEN", "ETH/USD": "CLOSED"}
    assert [order["state"] for order in live.orders()][2:] == ["ACCEPTED", "FILLED"]


def test_an_ending_that_was_rolled_back_is_settled_by_a_later_run(live: BotRunner, kraken: FakeKraken) -> None:
    """The failed transaction must not be taken for a done one: neither by this run nor by the next."""
    buy(live)
    kraken.set_price("BTC/USD", 40000)
    spoil(live, "INSERT ON event", "NEW.kind = 'closed'")
    kraken.fault("QueryOrders", "error", skip=1, error="EGeneral:Temporary lockout")

    run = live.run("check-positions")
    allow_writes(live)
    execute_sql(live, "DELETE FROM memory WHERE key = 'kraken.session'")  # the lock-out is over
    after = live.run("check-positions")

    assert (run.exit_code, after.exit_code) == (69, 0), output_of(run) + output_of(after)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert len(sent(kraken, "sell")) == 1


def test_a_stop_that_cannot_be_moved_keeps_no_other_from_moving(live: BotRunner, kraken: FakeKraken) -> None:
    two_positions(live, kraken)
    before = {trade["symbol"]: Decimal(trade["stop_loss_price"]) for trade in live.positions()}
    kraken.set_price("BTC/USD", 60000)
    kraken.set_price("ETH/USD", 3000)
    spoil(live, "INSERT ON event", "NEW.trade_id = 1")

    run = live.run("check-positions")

    after = {trade["symbol"]: Decimal(trade["stop_loss_price"]) for trade in live.positions()}
    assert run.exit_code == 1, output_of(run)
    assert after["BTC/USD"] == before["BTC/USD"]
    assert after["ETH/USD"] > before["ETH/USD"]


def test_a_stop_that_is_hit_is_sold_when_another_cannot_be_saved(live: BotRunner, kraken: FakeKraken) -> None:
    two_positions(live, kraken)
    kraken.set_price("BTC/USD", 60000)
    kraken.set_price("ETH/USD", 2000)
    spoil(live, "INSERT ON event", "NEW.trade_id = 1")

    run = live.run("check-positions")

    assert run.exit_code == 1, output_of(run)
    assert trade_of(live, "ETH/USD")["exit_reason"] == "STOP_LOSS"
    assert trade_of(live, "BTC/USD")["status"] == "OPEN"


@pytest.mark.usefixtures("bent_time")
def test_an_order_that_cannot_be_given_up_keeps_no_other_from_its_ending(live: BotRunner, kraken: FakeKraken) -> None:
    """Both runs died: one before it sent its buy, one after its sell was taken."""
    two_positions(live, kraken)
    execute_sql(live, "UPDATE \"order\" SET state = 'SUBMITTED' WHERE id = 1")
    execute_sql(live, "UPDATE trade SET status = 'PENDING' WHERE id = 1")
    execute_sql(live, "UPDATE \"order\" SET state = 'ACCEPTED' WHERE id = 2")
    execute_sql(live, "UPDATE trade SET status = 'PENDING' WHERE id = 2")
    spoil(live, 'UPDATE ON "order"', "NEW.id = 1")

    run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert [order["state"] for order in live.orders()] == ["SUBMITTED", "FILLED"]


def test_a_bought_position_is_told_when_its_decision_cannot_be_noted(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    spoil(live, "UPDATE ON decision")

    run = live.run("tick", "--json")

    answer = run.json()
    assert run.exit_code == 1, output_of(run)
    assert [result["side"] for result in answer["entries"]] == ["buy"]
    assert only([step for step in answer["steps"] if not step["ok"]])["name"] == "execute"
    assert sides(kraken) == ["buy"]


def test_a_decision_that_cannot_be_written_is_not_acted_on(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    kraken.flat_candles("ETH/USD", 2500, 25)
    council_says(live, "BUY")
    spoil(live, "INSERT ON decision", "NEW.symbol = 'BTC/USD'")

    run = live.run("tick")

    assert run.exit_code == 1, output_of(run)
    assert [order.symbol for order in kraken.orders] == ["ETH/USD"]


def test_a_tick_that_cannot_be_recorded_reports_its_sale(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    spoil(live, "INSERT ON tick")

    run = live.run("tick", "--json")

    answer = run.json()
    assert run.exit_code == 1, output_of(run)
    assert answer["ok"] is False
    assert [result["reason"] for result in answer["exits"]] == ["STOP_LOSS"]
    assert only([step for step in answer["steps"] if not step["ok"]])["name"] == "record"
