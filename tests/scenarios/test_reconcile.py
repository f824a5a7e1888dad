"""Journal, trades and exchange side by side: the same is said to be the same, and whatever differs is named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.bent_time import later
from tests.bot_runner import BotRunner, Run
from tests.cli.test_output import check_values, on_terminal
from tests.fake_kraken import FakeKraken, Never, PartialThenCanceled, Pieces
from tests.fields import RECONCILE, RECONCILED_ORDER, RECONCILED_POSITION
from tests.quick import parametrize
from tests.scenarios.database_loss import kept, lose, restore, save
from tests.scenarios.journal_tools import lose_the_next_order, only, place_by_hand, run_until, sent
from tests.scenarios.steps import buy, execute_sql, output_of


def differing(run: Run) -> list[str]:
    """The verdicts that are not "same", of a run that says so with its exit code too."""
    answer = run.json()
    rows = [*answer["orders"], *answer["positions"]]
    verdicts = [row["verdict"] for row in rows if not row["same"]]
    assert (run.exit_code, answer["same"]) == ((1, False) if verdicts else (0, True)), output_of(run)
    return verdicts


def reconciled(live: BotRunner, *options: str) -> Run:
    return live.run("reconcile", "--json", *options)


@pytest.mark.usefixtures("bent_time")
def test_after_all_kinds_of_endings_all_is_the_same(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(COOLDOWN_MINUTES="0")
    kraken.account.fill_mode = Pieces(3, Decimal("0.7"))
    buy(live)
    live.run("sell", "BTC/USD", "0.0005", "--yes")
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.5"))
    live.run("sell", "BTC/USD", "--yes")
    kraken.fault("AddOrder", "error", error="EOrder:Insufficient funds")
    live.run("check-positions")
    live.run("check-positions")

    run = reconciled(live)

    assert differing(run) == []
    orders = run.json()["orders"]
    assert {row["journal_state"] for row in orders} == {"FILLED", "CANCELED", "REJECTED"}
    assert [row["role"] for row in orders][:3] == ["entry", "MANUAL", "MANUAL"]
    for row in orders:
        if row["exchange_state"]:
            [order] = [order for order in kraken.orders if order.cl_ord_id == row["client_order_id"]]
            assert Decimal(row["exchange_cost"]) == Decimal(row["journal_cost"]) == order.cost
            assert Decimal(row["exchange_fee"]) == Decimal(row["journal_fee"]) == order.fee


@parametrize("price", [48400, 50000], quick=1)
def test_a_resting_stop_is_an_exit_only_once_it_has_sold(live: BotRunner, kraken: FakeKraken, price: int) -> None:
    live.set(EXCHANGE_STOP="on")
    buy(live)
    kraken.set_price("BTC/USD", price)
    live.run("sell", "BTC/USD", "--yes")

    run = reconciled(live)

    roles = {"entry": "FILLED"} | ({"STOP_LOSS": "FILLED"} if price < 48500 else RESTING_AND_SOLD_BY_HAND)
    assert {row["role"]: row["exchange_state"] for row in run.json()["orders"]} == roles
    assert differing(run) == []


RESTING_AND_SOLD_BY_HAND = {"resting stop": "CANCELED", "MANUAL": "FILLED"}


def test_it_has_exactly_the_promised_fields(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)

    answer = reconciled(live).json()

    check_values(answer)
    assert set(answer) == RECONCILE
    assert {frozenset(row) for row in answer["orders"]} == {RECONCILED_ORDER}
    assert {frozenset(row) for row in answer["positions"]} == {RECONCILED_POSITION}
    assert only(answer["positions"])["balance"] == "0.0020000000"


@parametrize(
    ("change", "verdicts"),
    [
        ("""UPDATE "order" SET filled = '0.001'""", ["filled differs"]),
        ("""UPDATE "order" SET cost = '99', fee = '1'""", ["cost, fee differ"]),
        ("""UPDATE "order" SET state = 'CANCELED'""", ["state differs"]),
        ("""UPDATE "order" SET state = 'ABSENT'""", ["state differs"]),
        ("""UPDATE "order" SET state = 'UNKNOWN'""", ["no ending yet: the next run settles it"]),
        ("UPDATE trade SET amount = '0.0015'", ["its orders leave 0.002 BTC"]),
        ("UPDATE trade SET amount = '0.003'", ["its orders leave 0.002 BTC, the balance is only 0.002 BTC"]),
        ("""DELETE FROM "order" """, ["not in the journal"]),
    ],
    quick=3,
)
def test_whatever_was_changed_here_is_named(
    live: BotRunner, kraken: FakeKraken, change: str, verdicts: list[str]
) -> None:
    buy(live)
    execute_sql(live, change)

    assert differing(reconciled(live)) == verdicts


def test_an_order_that_the_exchange_does_not_show_is_named(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.orders.clear()

    run = reconciled(live)

    assert differing(run) == ["not on the exchange"]
    assert only(run.json()["positions"])["verdict"] == "its entry is outside the period"


def test_a_trade_that_is_missing_here_is_named(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    lose(live)

    run = reconciled(live)

    assert differing(run) == ["not in the journal", "no trade in the database: see `botctl recover`"]
    assert only(run.json()["orders"])["trade_id"] is None


def test_a_lost_trade_that_has_ended_is_no_position(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("sell", "BTC/USD", "--yes")
    lose(live)

    assert differing(reconciled(live)) == ["not in the journal", "not in the journal"]


def test_coins_that_were_sold_by_hand_are_missed(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    place_by_hand(kraken, "sell", Decimal("0.001"), 50000)

    run = reconciled(live)

    assert differing(run) == ["the balance is only 0.000992 BTC"]
    assert run.json()["foreign_orders"] == 1


def test_coins_of_the_owner_are_no_difference(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] = Decimal(3)
    buy(live)

    assert differing(reconciled(live)) == []


def test_an_order_that_still_works_is_the_same_on_both_sides(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fill_mode = Never()
    run_until(live, kraken, "QueryOrders", "before", "buy", "BTC/USD", "100", "--yes")
    kraken.account.fill_order(kraken.orders[0], Decimal("0.0005"))

    run = reconciled(live)

    assert differing(run) == []
    assert only(run.json()["orders"])["exchange_state"] == "ACCEPTED"


def test_an_order_whose_answer_was_lost_has_no_ending_yet(live: BotRunner, kraken: FakeKraken) -> None:
    lose_the_next_order(kraken)
    live.run("buy", "BTC/USD", "100", "--yes")

    with later(minutes=16):  # the lock-out is over
        kraken.flat_candles("BTC/USD", 50000, 500)
        run = reconciled(live)

    assert differing(run) == ["no ending yet"]


def test_it_looks_back_to_the_entry_of_the_oldest_open_trade(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)

    with later(days=45):
        usual = reconciled(live)
        short = reconciled(live, "--since", f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}")

    assert differing(usual) == differing(short) == []
    assert len(usual.json()["orders"]) == 1
    assert short.json()["orders"] == []
    assert only(short.json()["positions"])["exchange_held"] is None


def test_it_changes_nothing_and_sends_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    backup = save(live)
    live.run("sell", "BTC/USD", "--yes")
    restore(live, backup)
    before, orders = kept(live), len(sent(kraken))

    assert differing(reconciled(live)) != []

    assert kept(live) == before
    assert len(sent(kraken)) == orders


@parametrize("endpoint", ["OpenOrders", "ClosedOrders", "QueryTrades", "BalanceEx"], quick=1)
def test_a_bad_answer_is_no_difference(live: BotRunner, kraken: FakeKraken, endpoint: str) -> None:
    buy(live)
    kraken.fault(endpoint, "empty_result", times=20)
    kraken.fault("TradesHistory", "empty_result", times=20)  # it would show the fills as well

    run = reconciled(live)

    assert run.exit_code == 69
    assert run.json()["category"] in ("unreachable", "unusable_answer")


def test_the_paper_broker_is_reconciled_alike(veteran: BotRunner) -> None:
    same: dict[str, Any] = veteran.json("reconcile", "--since", "2024-01-01")
    execute_sql(veteran, """UPDATE "order" SET fee = '0' WHERE id = 1""")
    execute_sql(veteran, "DELETE FROM paperorder WHERE id = 2")

    run = veteran.run("reconcile", "--since", "2024-01-01", "--json")

    assert len(same["orders"]) >= 2
    assert sorted(differing(run))[:2] == ["fee differs", "not on the exchange"]


@pytest.mark.usefixtures("bent_time")
def test_the_table_tells_what_differs_and_fits_80_columns(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", "104321.98765")
    kraken.flat_candles("BTC/USD", "104321.98765", 1000)
    kraken.markets.add("FARTCOIN/USD", "0.00001234567", ordermin=1)
    kraken.balances["ZUSD"] = Decimal(10**9)
    execute_sql(live, "DELETE FROM memory WHERE key = 'kraken.markets'")
    buy(live, amount="1234567.89")
    buy(live, "FARTCOIN/USD", "123.45")
    kraken.set_price("BTC/USD", 98000)
    live.run("check-positions")
    execute_sql(live, """UPDATE "order" SET cost = '12345678.12345678' WHERE id = 2""")

    run = live.run("reconcile")

    assert run.exit_code == 1
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "cost differs" in " ".join(run.stdout.split())
    assert "FARTCOIN/USD" in run.stdout
    assert "1 differ" in run.stdout


def test_on_a_terminal_the_waiting_is_shown_and_then_gone(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(TERM="xterm")
    buy(live)

    said = on_terminal(live, "reconcile")

    assert "fetching orders" in said
    assert "no differences" in said
