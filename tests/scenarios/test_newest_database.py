"""Whether the database is the newest: orders of botctl at the exchange that its journal lacks, whoever sent them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from botctl.domain.client_order_ids import ClientId, parse_client_id
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Order
from tests.quick import parametrize
from tests.scenarios.database_loss import all_trades, lose, planned, reconciled, recover, restore, save
from tests.scenarios.journal_tools import only
from tests.scenarios.steps import buy, council_says, execute_sql, output_of, requested_endpoints, sides, stopped_clock

ONE_LOOK = ["BalanceEx", "Ticker"]
SELLING = [("tick",), ("sell", "BTC/USD", "--yes"), ("liquidate", "--yes"), ("check-positions",), ("drawdown",)]
UNRECORDED = "of BTC at the exchange not in the journal"
OTHER = "d00f"
"""The id of another database."""


@pytest.fixture
def two_markets(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    kraken.set_price("ETH/USD", 2500)
    kraken.flat_candles("ETH/USD", 2500, 25)
    return live


def yesterday(live: BotRunner, kraken: FakeKraken) -> None:
    """The owner has a coin of his own; BTC and ETH are bought, then BTC is sold, and the database forgets the sale."""
    kraken.balances["XXBT"] = Decimal(1)
    buy(live, "BTC/USD")
    buy(live, "ETH/USD")
    backup = save(live)
    assert live.run("sell", "BTC/USD", "--yes").exit_code == 0
    restore(live, backup)


def bought_by_another(
    kraken: FakeKraken, amount: str, symbol: str = "BTC/USD", side: str = "buy", *, attempt: int = 1
) -> Order:
    """An order of another database of this account."""
    order = kraken.trade_by_hand(side, symbol, Decimal(amount))
    order.cl_ord_id = str(ClientId("0000000a", 7, None, True, attempt, OTHER))
    return order


def alarms(live: BotRunner) -> list[str]:
    live.open_store()
    from botctl.store.database import close_database
    from botctl.store.models import Alarm

    found = [alarm.key for alarm in Alarm.select() if alarm.over_at is None]
    close_database()
    return found


# A database from yesterday


@pytest.mark.usefixtures("bent_time")
@parametrize("command", SELLING, quick=1, ids=lambda command: command[0])
def test_a_backup_that_was_put_back_sells_nothing_that_may_be_sold_already(
    two_markets: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    live = two_markets
    yesterday(live, kraken)
    kraken.set_price("BTC/USD", 48000)

    run = live.run(*command)

    assert run.exit_code != 0
    assert UNRECORDED in run.stderr
    assert "run `botctl recover`" in run.stderr
    assert kraken.balances["XXBT"] == 1
    assert all_trades(live)[0]["status"] == "OPEN"


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_the_block_lasts_and_other_assets_go_on(two_markets: BotRunner, kraken: FakeKraken) -> None:
    live = two_markets
    yesterday(live, kraken)
    kraken.balances["XXBT"] = Decimal(0)  # the balance shows that it is sold, and that is no contradiction
    live.set(COOLDOWN_MINUTES="0", MAX_DRAWDOWN="0.9", SYMBOLS="SOL/USD", NOTIFY_URLS="json://127.0.0.1:9/")
    kraken.set_price("SOL/USD", 100)
    kraken.flat_candles("SOL/USD", 100, 1)
    council_says(live, "BUY")
    kraken.set_price("BTC/USD", 48000)

    runs = [live.run("tick")]
    live.unset("NOTIFY_URLS")  # each message that nobody takes is a process
    runs += [live.run("tick") for _ in range(2)]
    kraken.set_price("ETH/USD", 2000)
    runs += [live.run("check-positions"), live.run("sell", "BTC/USD", "--yes"), live.run("liquidate", "--yes")]

    assert [run.exit_code for run in runs] == [1, 1, 1, 1, 3, 1]
    assert all(UNRECORDED in run.stderr for run in runs)
    assert [(order.side, order.symbol) for order in kraken.orders[3:]] == [
        ("buy", "SOL/USD"),
        ("sell", "ETH/USD"),
        ("sell", "SOL/USD"),
    ]
    assert "unrecorded" in alarms(live)
    assert "EXTERNAL" not in {trade["exit_reason"] for trade in all_trades(live)}


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_the_documented_procedure_ends_with_no_difference_and_a_bot_at_work(
    two_markets: BotRunner, kraken: FakeKraken
) -> None:
    live = two_markets
    live.set(COOLDOWN_MINUTES="0")
    buy(live, "BTC/USD")
    backup = save(live)
    live.run("sell", "BTC/USD", "--yes")
    buy(live, "ETH/USD")
    live.run("sell", "ETH/USD", "--yes")
    buy(live, "BTC/USD", "150")
    restore(live, backup)
    blocked = live.run("tick")

    answer = recover(live)
    again, status = recover(live), live.json("status")
    compared = reconciled(live)
    resumed, tick = live.run("resume"), live.run("tick")

    assert blocked.exit_code == 1
    assert [row["action"] for row in answer["actions"]] == ["close", "add"]
    assert (again["actions"], status["system_status"]) == ([], "PAUSED")
    assert compared.exit_code == 0, output_of(compared)
    ended = [row["verdict"] for row in compared.json()["orders"] if row["verdict"] != "same"]
    assert ended == ["ended before the recovery"] * 2
    assert (resumed.exit_code, tick.exit_code) == (0, 0), output_of(tick)
    kraken.set_price("BTC/USD", 48000)
    assert live.run("tick").exit_code == 0
    assert sides(kraken) == ["buy", "sell", "buy", "sell", "buy", "sell"]


# No database left, and two at once


@pytest.mark.usefixtures("bent_time")
def test_an_empty_database_buys_nothing_that_another_has_bought(two_markets: BotRunner, kraken: FakeKraken) -> None:
    live = two_markets
    buy(live)
    lose(live)
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "BUY")

    runs = [live.run("tick"), live.run("tick"), live.run("buy", "BTC/USD", "100", "--yes")]

    assert [run.exit_code for run in runs] == [1, 1, 3]
    assert [(order.side, order.symbol) for order in kraken.orders] == [("buy", "BTC/USD"), ("buy", "ETH/USD")]


@pytest.mark.usefixtures("bent_time")
def test_two_databases_of_one_account_leave_each_others_assets_alone(
    two_markets: BotRunner, kraken: FakeKraken
) -> None:
    live = two_markets
    buy(live, "BTC/USD")
    first = save(live)
    lose(live)
    buy(live, "ETH/USD")
    plan = live.run("recover", "--json")
    applied = live.run("recover", "--apply", "--yes", "--json")
    live.run("resume")
    tick = live.run("tick")
    restore(live, first)
    kraken.set_price("BTC/USD", 48000)
    back = live.run("tick", "--json")

    mine, other = (parse_client_id(order.cl_ord_id).database for order in kraken.orders[1::-1])  # type: ignore[union-attr]
    for answer in (plan, applied):
        action = only(answer.json()["actions"])
        assert (answer.exit_code, action["action"], action["database"]) == (1, "problem", other)
        assert answer.json()["database"] == mine != other
        assert f"of database {other}" in action["detail"]
        assert "--adopt" in action["detail"]
    assert (tick.exit_code, UNRECORDED in tick.stderr) == (1, True)
    assert back.exit_code == 1
    assert "of ETH at the exchange" in back.json()["errors"][0]
    assert [(order.side, order.symbol) for order in kraken.orders[2:]] == [("sell", "BTC/USD")]


@pytest.mark.usefixtures("bent_time")
def test_adopt_takes_over_the_trades_of_another_database(two_markets: BotRunner, kraken: FakeKraken) -> None:
    live = two_markets
    buy(live, "BTC/USD")
    lose(live)
    buy(live, "ETH/USD")

    answer = recover(live, "--adopt")

    assert [row["action"] for row in answer["actions"]] == ["add"]
    assert {trade["symbol"] for trade in live.positions()} == {"BTC/USD", "ETH/USD"}
    assert reconciled(live).exit_code == 0
    live.run("resume")
    kraken.set_price("BTC/USD", 48000)
    assert live.run("tick").exit_code == 0
    assert sides(kraken) == ["buy", "buy", "sell"]


def test_a_trade_that_another_database_keeps_blocks_entries_and_no_exit_of_ours(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    bought_by_another(kraken, "0.003")
    with stopped_clock() as clock:
        clock.tick(5 * 900)
        kraken.flat_candles("BTC/USD", 50000, 500)
        found = live.run("tick")
        kraken.set_price("BTC/USD", 48000)
        blocked = live.run("check-positions")
        live.run("recover", "--apply", "--yes")
        examined = live.run("check-positions")
        live.run("resume")
        live.set(COOLDOWN_MINUTES="0")
        entry = live.run("buy", "BTC/USD", "100", "--yes")

    assert (found.exit_code, blocked.exit_code, examined.exit_code, entry.exit_code) == (1, 1, 1, 3)
    assert "BTC is not bought" in examined.stderr
    assert [(order.side, order.volume) for order in kraken.orders[2:]] == [("sell", Decimal("0.002"))]


def test_orders_of_an_older_botctl_without_the_id_of_a_database_are_this_ones(
    two_markets: BotRunner, kraken: FakeKraken
) -> None:
    buy(two_markets, "ETH/USD")
    old = kraken.trade_by_hand("buy", "BTC/USD", Decimal("0.002"))
    old.cl_ord_id = str(ClientId("00000000a", 7, None, True, 1))

    assert planned(two_markets) == [("add", 7)]


# What it costs


def test_only_the_first_run_and_one_after_a_gap_ask_for_orders(live: BotRunner, kraken: FakeKraken) -> None:
    def asked() -> list[str]:
        kraken.clear_requests()
        run = live.run("tick")
        assert run.exit_code == 0, output_of(run)
        return [name for name in requested_endpoints(kraken) if name not in ONE_LOOK]

    with stopped_clock() as clock:
        lose(live)
        live.run("pause")
        live.run("balance")
        first, second = asked(), asked()
        clock.tick(4 * 900)
        on_time = asked()
        clock.tick(4 * 900 + 1)
        late, next_one = asked(), asked()

    assert (first, second, on_time, late, next_one) == (["ClosedOrders"], [], [], ["ClosedOrders"], [])


def test_a_copy_of_the_home_that_is_older_is_noticed_by_the_file_beside_the_database(
    two_markets: BotRunner, kraken: FakeKraken
) -> None:
    live = two_markets
    buy(live)
    backup = save(live)
    live.run("tick")
    restore(live, backup)

    run = live.run("tick")

    assert "older than the last run" in run.stderr
    assert run.exit_code == 0, output_of(run)
    assert live.run("tick").stderr == ""


# When the exchange can't be asked


def test_after_a_gap_exits_go_on_without_the_comparison_and_entries_do_not(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    with later(hours=2):
        kraken.flat_candles("BTC/USD", 50000, 500)
        kraken.set_price("BTC/USD", 48500)
        kraken.fault("ClosedOrders", "error", error="EService:Unavailable", times=40)
        tick = live.run("tick")
        live.set(COOLDOWN_MINUTES="0")
        entry = live.run("buy", "BTC/USD", "100", "--yes")
        kraken.clear_faults()
        compared = live.run("buy", "BTC/USD", "100", "--yes")

    assert (tick.exit_code, entry.exit_code, compared.exit_code) == (69, 3, 0), output_of(compared)
    assert "has not been compared" in entry.stderr
    assert sides(kraken) == ["buy", "sell", "buy"]


@pytest.mark.usefixtures("bent_time")
def test_a_database_that_was_put_back_sells_nothing_before_it_is_compared(
    two_markets: BotRunner, kraken: FakeKraken
) -> None:
    live = two_markets
    yesterday(live, kraken)
    kraken.set_price("BTC/USD", 48500)
    kraken.fault("ClosedOrders", "error", error="EService:Unavailable", times=40)

    runs = [live.run("tick"), live.run("liquidate", "--yes")]

    assert [run.exit_code for run in runs] == [69, 69]
    assert sides(kraken) == ["buy", "buy", "sell"]


# init and doctor


def test_init_and_doctor_name_recover_and_the_newest_backup(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("tick")
    backup = f"live-{datetime.now(UTC):%Y-%m-%d}.db"
    for suffix in ("", "-wal", "-shm"):
        live.database.with_name(live.database.name + suffix).unlink(missing_ok=True)
    if live.server:
        lose(live)

    run = live.run("init")
    doctor = live.run("doctor", "--json")

    assert run.exit_code == 0
    [check] = [each for each in doctor.json() if each["name"] == "journal"]
    assert (doctor.exit_code, check["status"]) == (1, "fail")
    for said in (run.stderr, check["detail"] + check["fix"]):
        assert UNRECORDED in said.replace("\n", " ")
        assert "`botctl recover`" in said
        assert backup in said
    assert "botctl recover" in run.stdout


def test_init_without_such_orders_says_nothing_of_them(live: BotRunner) -> None:
    run = live.run("init")

    assert run.stderr == ""
    assert "recover" not in run.stdout


# Closed trades


@pytest.mark.usefixtures("bent_time")
def test_a_closed_trade_whose_orders_left_coins_is_a_difference_and_opened_again(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live)
    execute_sql(live, "UPDATE trade SET status = 'CLOSED', exit_reason = 'MANUAL', exit_time = created_at")

    before = reconciled(live)
    answer = recover(live)

    assert before.exit_code == 1
    assert only(before.json()["positions"])["verdict"] == (
        "it is closed, but its orders leave 0.002 BTC: see `botctl recover`"
    )
    assert [(row["action"], row["amount"]) for row in answer["actions"]] == [("adopt", "0.00200000")]
    assert only(live.positions())["stop_loss_price"] == "49000.0"
    assert reconciled(live).exit_code == 0


@pytest.mark.usefixtures("bent_time")
@parametrize("written_off", ["sold outside", "shrunk", "dust"], quick=1)
def test_what_was_written_off_is_no_difference_and_not_added_again(
    live: BotRunner, kraken: FakeKraken, written_off: str
) -> None:
    buy(live)
    live.run("check-positions")
    if written_off == "dust":
        execute_sql(live, "DELETE FROM memory WHERE key = 'kraken.markets'")
        kraken.markets["BTC/USD"].ordermin = Decimal("0.01")
        assert live.run("sell", "BTC/USD", "--yes").exit_code in (0, 1, 4)
        kraken.markets["BTC/USD"].ordermin = Decimal("0.00005")
        execute_sql(live, "DELETE FROM memory WHERE key = 'kraken.markets'")
    else:
        kraken.trade_by_hand("sell", "BTC/USD", Decimal("0.002" if written_off == "sold outside" else "0.001"))
        assert live.run("check-positions").exit_code == 1

    compared = reconciled(live)

    assert only(all_trades(live))["status"] == ("OPEN" if written_off == "shrunk" else "CLOSED")
    assert compared.exit_code == 0, output_of(compared)
    assert planned(live) == []


def test_less_than_one_unit_of_the_balances_decimals_is_no_difference(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.account.false_balances["XXBT"] = Decimal("0.0019999999")

    assert reconciled(live).exit_code == 0
