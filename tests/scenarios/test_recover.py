"""A lost, damaged or old database: what the exchange remembers is enough to guard every position again."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from botctl.domain.client_order_ids import ClientId, parse_client_id
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.cli.test_output import check_values
from tests.fake_kraken import FakeKraken, Lie, Never, PartialThenCanceled, Pieces
from tests.fields import RECOVER, RECOVER_ACTION
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.database_loss import (
    all_orders,
    all_trades,
    kept,
    lose,
    planned,
    reconciled,
    recover,
    restore,
    save,
)
from tests.scenarios.journal_tools import only, place_by_hand, run_until, sent
from tests.scenarios.steps import buy, execute_sql, output_of, sides, stopped_clock

BY_OUR_CLOCK = {"created_at", "checked_at", "seen_at"}
"""Written by this machine's clock: the exchange's own moment stands in for it."""
ORDERS_BY_OUR_CLOCK = {"id", "trade", "created_at", "settled_at", "deadline"}


@pytest.fixture
def two_markets(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    return live


def without(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def sell_part(live: BotRunner, amount: str = "0.0005") -> None:
    run = live.run("sell", "BTC/USD", amount, "--yes")
    assert run.exit_code == 0, output_of(run)


# What is rebuilt is what was lost


@pytest.mark.usefixtures("bent_time")
def test_a_lost_trade_comes_back_as_it_was(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", "50000.7", bid="49995.3", ask="50005.9")
    kraken.account.fill_mode = Pieces(3, Decimal("0.3"))
    buy(live, amount="123.45")
    [lost], [lost_order] = all_trades(live), all_orders(live)

    lose(live)
    answer = recover(live)

    [trade], [order] = all_trades(live), all_orders(live)
    assert without(trade, BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
    assert without(order, ORDERS_BY_OUR_CLOCK) == without(lost_order, ORDERS_BY_OUR_CLOCK)
    assert [(row["action"], row["trade_id"]) for row in answer["actions"]] == [("add", 1)]
    assert trade["entry_cost"] == kraken.orders[0].cost
    assert reconciled(live).exit_code == 0


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_several_trades_come_back_each_with_its_own_orders(two_markets: BotRunner, kraken: FakeKraken) -> None:
    live = two_markets
    buy(live, "BTC/USD")
    buy(live, "ETH/USD", "200")
    sell_part(live)
    lost = all_trades(live)

    lose(live)
    recover(live)

    assert [without(row, BY_OUR_CLOCK) for row in all_trades(live)] == [without(row, BY_OUR_CLOCK) for row in lost]
    assert {order["client_order_id"] for order in all_orders(live)} == {order.cl_ord_id for order in kraken.orders}
    assert reconciled(live).exit_code == 0


def test_a_trade_of_which_a_part_was_sold_holds_the_rest(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 50100)
    sell_part(live)
    [lost] = all_trades(live)

    lose(live)
    recover(live)

    [trade] = all_trades(live)
    assert without(trade, BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
    assert (trade["amount"], trade["exiting"]) == (Decimal("0.002") - Decimal("0.0005"), None)
    assert sum(kraken.balances[name] for name in ("XXBT",)) == trade["amount"]


def test_the_stop_stands_where_the_closes_since_have_moved_it(live: BotRunner, kraken: FakeKraken) -> None:
    closes = [50500, 51200, 52000, 51500, 51100]
    with stopped_clock() as clock:
        buy(live)
        for number, close in enumerate(closes, 1):
            clock.tick(900)
            kraken.set_candles("BTC/USD", [*rows(200 - number), *([c, c, c, c] for c in closes[:number])])
            kraken.set_price("BTC/USD", close)
            assert live.run("check-positions").exit_code == 0
        [lost] = all_trades(live)

        lose(live)
        recover(live)

        [trade] = all_trades(live)
        assert without(trade, BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
        assert (trade["stop_loss_price"], trade["high_price"]) == (51000.0, 52000.0)
        assert trade["checked_at"].timestamp() == clock().timestamp() // 900 * 900


def test_the_atr_is_that_of_the_candles_at_the_entry(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(20 * 900)
        wild = [[50000, 52500, 49500, 50000]] * 20
        kraken.set_candles("BTC/USD", [*rows(200), *wild])
        lose(live)

        answer = recover(live)

    [trade] = all_trades(live)
    assert trade["atr"] == pytest.approx(500, abs=1e-6)
    assert "oldest" not in str(answer)


def test_where_candles_do_not_reach_back_the_oldest_there_are_serve_and_that_is_said(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(719 * 900)
        kraken.set_candles("BTC/USD", [*rows(114, 300), *rows(605, 900)])
        lose(live)

        answer = recover(live)

    [trade] = all_trades(live)
    assert trade["atr"] == pytest.approx(300, abs=0.5)
    assert "the oldest 114" in only(answer["actions"])["detail"]


@pytest.mark.usefixtures("bent_time")
def test_where_the_candles_carry_no_atr_the_stop_is_below_their_range_and_that_is_said(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    lose(live)
    kraken.set_candles("BTC/USD", rows(100))

    calm = only(live.json("recover")["actions"])
    kraken.set_candles("BTC/USD", [[50000, 50000, 44000, 50000], *rows(99)])
    wild = only(recover(live)["actions"])

    assert (calm["stop_loss_price"], wild["stop_loss_price"]) == ("47500.0", "44000.0")
    assert "the candles carry no ATR: its stop is below their range and 5% below 50000" in calm["detail"]
    trade = only(all_trades(live))
    assert (trade["stop_loss_price"], trade["status"]) == (44000.0, "OPEN")
    assert trade["atr"] == pytest.approx(3000)
    assert live.run("check-positions").exit_code == 0
    assert sides(kraken) == ["buy"]


@pytest.mark.usefixtures("bent_time")
def test_one_answer_without_candles_decides_no_stop(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    lose(live)
    kraken.fault("OHLC", "empty_result")

    answer = only(recover(live)["actions"])

    assert answer["stop_loss_price"] == "49000.0"


@pytest.mark.usefixtures("bent_time")
@parametrize("price", [50000, 60000, 40000], quick=1)
def test_without_any_candles_there_is_a_stop_all_the_same(live: BotRunner, kraken: FakeKraken, price: int) -> None:
    buy(live)
    lose(live)
    kraken.set_price("BTC/USD", price)
    kraken.fault("OHLC", "empty_result", times=20)

    answer = only(recover(live)["actions"])

    assert float(answer["stop_loss_price"]) == pytest.approx(min(price, 50000) * 0.95, rel=0.01)
    assert "there are no candles" in answer["detail"]


def test_a_close_that_hit_the_stop_while_nobody_looked_is_sold_at_the_next_check(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(3 * 900)
        kraken.set_candles("BTC/USD", [*rows(200), [50000, 50000, 48900, 48900], [48900, 50000, 48900, 50000]])
        lose(live)

        answer = recover(live)
        check = live.run("check-positions")

    assert "hit its stop" in only(answer["actions"])["detail"]
    assert check.exit_code == 0, output_of(check)
    assert only(live.trades())["exit_reason"] == "STOP_LOSS"


@pytest.mark.usefixtures("bent_time")
def test_figures_from_records_alone_are_marked_and_corrected_once_the_fills_are_shown(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Pieces(4, Decimal("0.1"))
    buy(live)
    lose(live)
    kraken.account.lie = Lie("closed", seconds=1e9, filled=Decimal(1), hides_trades=True)

    answer = recover(live)
    rough = only(all_orders(live))
    kraken.account.lie = None
    tick = live.run("tick")

    exact = only(all_orders(live))
    assert "its figures are rounded" in only(answer["actions"])["detail"]
    assert (rough["inexact"], exact["inexact"]) == (True, False)
    assert rough["cost"] != exact["cost"] == kraken.orders[0].cost
    assert tick.exit_code == 0, output_of(tick)


# What has ended, and what is not ours


@pytest.mark.usefixtures("bent_time")
def test_a_closed_trade_is_not_added(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("sell", "BTC/USD", "--yes")
    lose(live)

    answer = recover(live)

    assert (answer["actions"], answer["same_trades"]) == ([], 1)
    assert all_trades(live) == []
    assert live.json("status")["system_status"] == "PAUSED", "the switch is lost with the database"
    assert reconciled(live).exit_code == 0


def test_dust_is_not_added_and_said(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.99"))
    live.run("sell", "BTC/USD", "--yes")
    lose(live)

    answer = recover(live)

    assert answer["actions"] == []
    assert "0.00002 BTC is left as dust" in only([{"note": note} for note in answer["notes"]])["note"]


def test_the_owners_own_orders_are_ignored_and_counted(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] = Decimal(1)
    place_by_hand(kraken, "sell", Decimal("0.1"), 60000)
    place_by_hand(kraken, "buy", Decimal("0.01"), 50000)
    kraken.orders[-1].cl_ord_id = str(uuid.uuid4())
    lose(live)

    answer = recover(live)

    assert (answer["actions"], answer["foreign_orders"], answer["same_trades"]) == ([], 2, 0)
    assert sent(kraken) == sent(kraken)[:2]


def test_coins_that_were_moved_away_are_said_and_the_trade_is_added_all_the_same(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    kraken.balances["XXBT"] = Decimal("0.001")
    lose(live)

    answer = recover(live)

    assert Decimal(only(live.positions())["amount"]) == Decimal("0.002")
    assert "the balance is 0.001 BTC" in answer["notes"][0]


# Orders that have no ending yet


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_an_exit_that_had_begun_goes_on(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48000)
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.5"))
    live.run("check-positions")
    [lost] = all_trades(live)
    kraken.set_price("BTC/USD", 50000)

    lose(live)
    recover(live)

    [trade] = all_trades(live)
    assert without(trade, BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
    assert trade["exiting"] == "STOP_LOSS"
    live.run("check-positions")
    live.run("check-positions")
    assert sides(kraken)[:3] == ["buy", "sell", "sell"]


@pytest.mark.usefixtures("bent_time")
def test_an_entry_that_still_works_reserves_its_asset_and_the_next_run_settles_it(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.account.fill_mode = Never()
    leave_unsettled(live, kraken, "buy", "BTC/USD", "100", "--yes")
    lose(live)

    first = recover(live)
    live.run("resume")
    pending = only(live.positions())
    again = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.account.fill_order(kraken.orders[0])
    tick = live.run("check-positions")

    assert [row["action"] for row in first["actions"]] == ["add"]
    assert pending["status"] == "PENDING"
    assert again.exit_code == 3
    assert tick.exit_code == 0, output_of(tick)
    trade = only(live.positions())
    assert (trade["status"], trade["stop_loss_price"]) == ("OPEN", "49000.0")
    assert reconciled(live).exit_code == 0


@pytest.mark.long
def test_an_exit_that_still_works_is_adopted_and_the_next_run_settles_it(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.account.fill_mode = Never()
    leave_unsettled(live, kraken, "sell", "BTC/USD", "--yes")
    lose(live)

    recover(live)
    [order] = live.json("orders", "--unsettled")
    kraken.account.fill_order(kraken.orders[1])
    tick = live.run("check-positions")

    assert (order["state"], order["client_order_id"]) == ("ACCEPTED", kraken.orders[1].cl_ord_id)
    assert tick.exit_code == 0, output_of(tick)
    trade = only(live.trades())
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "MANUAL")
    assert len(kraken.orders) == 2


@pytest.mark.usefixtures("bent_time")
def test_orders_without_an_ending_are_settled_before_anything_is_compared(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = Never()
    leave_unsettled(live, kraken, "buy", "BTC/USD", "100", "--yes")
    kraken.account.fill_order(kraken.orders[0])

    dry = live.json("recover")
    wet = recover(live)

    assert [row["action"] for row in dry["actions"]] == ["settle"]
    assert wet["actions"] == []
    assert only(live.positions())["status"] == "OPEN"


def leave_unsettled(live: BotRunner, kraken: FakeKraken, *arguments: str) -> None:
    """A run that is killed while its order is open at the exchange."""
    run_until(live, kraken, "QueryOrders", "before", *arguments)


# A backup that is older than the truth


@pytest.mark.usefixtures("bent_time")
def test_a_backup_from_before_the_exit_learns_of_it(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    backup = save(live)
    kraken.set_price("BTC/USD", 48000)
    live.run("check-positions")
    [lost] = all_trades(live)

    restore(live, backup)
    before = planned(live)
    recover(live)

    [trade] = all_trades(live)
    assert before == [("close", 1)]
    assert without(trade, BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert reconciled(live).exit_code == 0


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_backup_from_before_a_part_was_sold_is_reduced(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    backup = save(live)
    kraken.set_price("BTC/USD", 50100)
    sell_part(live)
    sell_part(live, "0.0003")
    [lost] = all_trades(live)

    restore(live, backup)
    before = planned(live)
    recover(live)

    assert before == [("reduce", 1)]
    assert without(only(all_trades(live)), BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)
    assert reconciled(live).exit_code == 0


def test_a_backup_from_before_the_entry_learns_of_the_trade(live: BotRunner, kraken: FakeKraken) -> None:
    backup = save(live)
    buy(live)
    [lost] = all_trades(live)

    restore(live, backup)
    recover(live)

    assert without(only(all_trades(live)), BY_OUR_CLOCK) == without(lost, BY_OUR_CLOCK)


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_two_trades_of_one_number_do_not_mix(two_markets: BotRunner, kraken: FakeKraken) -> None:
    """The restored database gives another trade the number that a lost one had."""
    live = two_markets
    backup = save(live)
    buy(live, "BTC/USD")
    restore(live, backup)
    buy(live, "ETH/USD")

    answer = recover(live)

    assert [row["trade_id"] for row in answer["actions"]] == [2]
    assert [parse_client_id(order.cl_ord_id).trade_id for order in kraken.orders] == [1, 1]  # type: ignore[union-attr]
    trades = {trade["id"]: trade["symbol"] for trade in live.positions()}
    assert trades == {1: "ETH/USD", 2: "BTC/USD"}
    assert reconciled(live).exit_code == 0


@pytest.mark.usefixtures("bent_time")
def test_a_trade_that_ended_and_the_next_one_of_its_asset_are_both_learnt(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COOLDOWN_MINUTES="0")
    buy(live)
    backup = save(live)
    live.run("sell", "BTC/USD", "--yes")
    buy(live, amount="150")

    restore(live, backup)
    recover(live)

    assert [(trade["status"], float(trade["amount"])) for trade in live.trades()] == [
        ("CLOSED", 0.002),
        ("OPEN", 0.003),
    ]
    assert reconciled(live).exit_code == 0


def test_two_open_trades_of_one_asset_leave_one_unguarded_and_that_is_said_loudly(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    second = kraken.trade_by_hand("buy", "BTC/USD", Decimal("0.003"))
    second.cl_ord_id = str(ClientId("0000000a", 1, None, True, 1, "d00f"))
    lose(live)

    run = live.run("recover", "--apply", "--yes", "--json")

    assert run.exit_code == 1
    assert [row["action"] for row in run.json()["actions"]] == ["problem", "add"]
    assert "0.002 BTC are UNGUARDED" in run.stderr
    assert Decimal(only(live.positions())["amount"]) == Decimal("0.003")


@pytest.mark.usefixtures("bent_time")
def test_an_order_that_was_given_up_and_came_late_after_all_is_adopted(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    execute_sql(live, "UPDATE trade SET status = 'FAILED'")
    execute_sql(live, """UPDATE "order" SET state = 'ABSENT', filled = '0', cost = NULL, fee = NULL""")

    before = planned(live)
    recover(live)

    assert before == [("adopt", 1)]
    trade = only(live.positions())
    assert (trade["status"], float(trade["amount"]), trade["stop_loss_price"]) == ("OPEN", 0.002, "49000.0")
    assert reconciled(live).exit_code == 0


@pytest.mark.usefixtures("bent_time")
def test_a_trade_of_an_older_botctl_stays_as_it_is(live: BotRunner, kraken: FakeKraken) -> None:
    """Its ids tell nothing, so only the journal knows that they are ours."""
    buy(live)
    name = str(uuid.uuid4())
    execute_sql(live, f"""UPDATE "order" SET client_order_id = '{name}'""")
    kraken.orders[0].cl_ord_id = name

    with_its_journal = live.json("recover")
    answer = live.json("recover", "--since", f"{datetime.now(UTC) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}")
    lose(live)
    without_it = live.json("recover")

    assert (with_its_journal["actions"], with_its_journal["same_trades"]) == ([], 1)
    assert answer["actions"] == []
    assert (without_it["actions"], without_it["foreign_orders"]) == ([], 1)


def test_a_trade_that_is_older_than_what_was_looked_at_is_left_and_said(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)

    with later(days=100):
        kraken.flat_candles("BTC/USD", 50000, 500)
        answer = recover(live)

    assert [row["action"] for row in answer["actions"]] == ["leave"]
    assert only(live.positions())["status"] == "OPEN"


def test_a_sell_whose_entry_is_not_in_sight_is_a_problem(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    with later(days=3):  # soon after midnight, two are not longer ago than what is looked at anyway
        sell_part(live)
        lose(live)
        short = live.run("recover", "--since", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
        whole = planned(live)

    assert short.exit_code == 1
    assert "look further back with --since" in short.stderr
    assert whole == [("add", 1)]


# Writing, or not


def test_it_has_exactly_the_promised_fields(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    lose(live)

    answer = recover(live)

    assert set(answer) == RECOVER
    assert {frozenset(row) for row in answer["actions"]} == {RECOVER_ACTION}
    check_values(answer)


@pytest.fixture
def disasters(two_markets: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A backup that knows one of two trades, and takes that one for whole."""
    live = two_markets
    buy(live, "BTC/USD")
    backup = save(live)
    sell_part(live)
    buy(live, "ETH/USD")
    restore(live, backup)
    return live


@pytest.mark.usefixtures("bent_time")
def test_without_apply_nothing_changes(disasters: BotRunner, kraken: FakeKraken) -> None:
    before, orders = kept(disasters), len(kraken.orders)

    run = disasters.run("recover")

    assert run.exit_code == 0, output_of(run)
    assert "add trade 2" in run.stdout
    assert "reduce trade 1" in run.stdout
    assert "botctl recover --apply" in run.stdout
    assert kept(disasters) == before
    assert len(kraken.orders) == orders


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_second_time_there_is_nothing_left_to_recover(disasters: BotRunner) -> None:
    recover(disasters)
    after_once = kept(disasters)

    second = recover(disasters)

    assert second["actions"] == []
    assert kept(disasters) == after_once


@pytest.mark.usefixtures("bent_time")
def test_every_change_is_told_and_what_was_changed_is_paused(disasters: BotRunner) -> None:
    recover(disasters)

    events = kept(disasters)["event"]
    told = [row for row in events if "recovered" in row]
    assert len(told) == 4  # a trade reduced and its order, a trade added and its order
    status = disasters.json("status")
    assert status["system_status"] == "PAUSED"
    assert "botctl reconcile" in disasters.run("status").stdout


@pytest.mark.usefixtures("bent_time")
@pytest.mark.long
def test_while_paused_the_recovered_trades_are_guarded(disasters: BotRunner, kraken: FakeKraken) -> None:
    recover(disasters)
    kraken.set_price("BTC/USD", 48999)
    kraken.set_price("ETH/USD", 2400)

    tick = disasters.run("tick")

    assert tick.exit_code == 0, output_of(tick)
    assert {trade["exit_reason"] for trade in disasters.trades()} == {"STOP_LOSS"}
    assert {kraken.balances[name] for name in ("XXBT", "XETH")} == {Decimal(0)}


@pytest.mark.usefixtures("bent_time")
def test_it_sends_no_order(disasters: BotRunner, kraken: FakeKraken) -> None:
    kraken.clear_requests()

    recover(disasters)

    assert sent(kraken) == []


@pytest.mark.usefixtures("bent_time")
@parametrize_pairs(
    ("endpoint", "kind"),
    ["OpenOrders", "ClosedOrders", "QueryTrades", "BalanceEx", "OHLC"],
    ["empty", "truncated", "empty_result"],
    quick=2,
    without=[("OHLC", "empty_result")],  # a market without candles: its trade gets a stop all the same
)
def test_a_bad_answer_changes_nothing(disasters: BotRunner, kraken: FakeKraken, endpoint: str, kind: str) -> None:
    before = kept(disasters)
    kraken.fault(endpoint, kind, times=20)
    kraken.fault("TradesHistory", kind, times=20)  # it would show the fills as well

    run = disasters.run("recover", "--apply", "--yes")

    assert run.exit_code == 69, output_of(run)
    assert kept(disasters) == before


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_a_bad_second_page_changes_nothing_and_a_good_one_is_read(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    history = kraken.orders[0]
    lose(live)
    kraken.account.orders += [
        dataclasses.replace(history, txid=f"O{n:05}-AAAAA-AAAAAA", cl_ord_id=str(uuid.uuid4())) for n in range(120)
    ]
    before = kept(live)
    kraken.fault("ClosedOrders", "truncated", skip=1, times=20)

    bad = live.run("recover", "--apply", "--yes")
    kraken.clear_faults()
    good = recover(live)

    assert bad.exit_code == 69
    assert kept(live) != before
    assert (good["foreign_orders"], len(good["actions"])) == (120, 1)


@pytest.mark.usefixtures("bent_time")
def test_off_a_terminal_it_needs_a_yes(disasters: BotRunner) -> None:
    before = kept(disasters)

    run = disasters.run("recover", "--apply")

    assert run.exit_code == 2
    assert "--yes" in run.stderr
    assert kept(disasters) == before


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2999-01-01", ""])
def test_a_date_that_is_none_or_still_to_come_is_refused(live: BotRunner, text: str) -> None:
    for command in ("recover", "reconcile"):
        run = live.run(command, "--since", text)

        assert run.exit_code == 2
        assert "--since" in run.stderr


def rows(count: int, true_range: int = 500) -> list[list[float]]:
    """Candles that stand at 50000 with such an ATR."""
    return [[50000, 50000 + true_range / 2, 50000 - true_range / 2, 50000]] * count


def test_the_paper_brokers_sound_database_has_nothing_to_recover(veteran: BotRunner) -> None:
    before = kept(veteran)

    answer = recover(veteran, "--since", "2024-01-01")

    assert answer["actions"] == []
    assert answer["same_trades"] >= 1
    assert kept(veteran) == before
