"""explain and log: the whole life of one trade, and the audit trail as it grows."""

import signal
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error
from tests.fake_kraken import FakeKraken
from tests.fields import EVENT, STORY, STORY_STEP, TRADE
from tests.scenarios.steps import QUARTER, buy, council_says, output_of, stopped_clock


def explained_steps(bot: BotRunner, trade: int) -> list[tuple[str, str]]:
    answer = bot.json("explain", str(trade))
    assert set(answer) == STORY
    assert set(answer["trade"]) == TRADE
    assert {frozenset(step) for step in answer["steps"]} == {STORY_STEP}
    return [(step["kind"], step["detail"]) for step in answer["steps"]]


def kinds(steps: list[tuple[str, str]]) -> list[str]:
    return [kind for kind, _ in steps]


def test_a_trade_is_told_from_the_decision_to_the_exit(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        council_says(live, "BUY")
        assert live.run("tick").exit_code == 0
        live.unset("COUNCIL_COMMAND")
        live.set(COUNCIL="technical")
        for price in (50500, 52000, 53000, 51900):
            clock.tick(QUARTER)
            kraken.set_price("BTC/USD", price)
            run = live.run("check-positions")
            assert run.exit_code == 0, output_of(run)

        steps = explained_steps(live, 1)
        answer = live.json("explain", "1")

    assert kinds(steps) == [
        "decided", "order", "filled", "stop set", "stop moved", "stop moved", "stop hit", "order", "filled", "closed"
    ]  # fmt: skip
    assert "BUY: told so" in steps[0][1]
    assert "against 50,000.0, last price when decided" in steps[2][1]
    assert steps[3][1] == "the stop was set at 49,000.0"
    assert steps[4][1] == "the stop moved from 49,000.0 to 51,000.0: price 52,000.0"
    assert steps[5][1] == "the stop moved from 51,000.0 to 52,000.0: price 53,000.0"
    assert steps[6][1] == "the stop was hit, TRAILING_STOP: price 51,900.0"
    assert "against 52,000.0, the stop" in steps[8][1]
    assert [step["price"] for step in answer["steps"][4:7]] == ["52000", "53000", "51900"]
    trade = answer["trade"]
    assert Decimal(answer["fees"]) == Decimal(trade["entry_fee"]) + Decimal(trade["exit_fee"])
    assert trade["initial_stop_loss_price"] == "49000.0"
    risk = Decimal(trade["entry_cost"]) * Decimal("0.02")
    assert Decimal(trade["r_multiple"]) == round(Decimal(trade["pnl"]) / risk, 4) > Decimal("0.5")
    orders = live.orders()
    assert [step["client_order_id"] for step in answer["steps"] if step["kind"] == "order"] == [
        order["client_order_id"] for order in orders
    ]


def test_slippage_is_what_the_fills_lost_against_what_was_known_before(veteran: BotRunner) -> None:
    [trade] = [row for row in veteran.trades() if row["exit_reason"]][:1]
    answer = veteran.json("explain", str(trade["id"]))
    decided = next(Decimal(step["price"]) for step in answer["steps"] if step["kind"] == "decided")

    lost = (Decimal(trade["entry_price"]) - decided) * Decimal(trade["amount"])
    if trade["exit_reason"] != "COUNCIL":
        lost += (Decimal(trade["stop_loss_price"]) - Decimal(trade["exit_price"])) * Decimal(trade["amount"])

    assert abs(Decimal(answer["slippage_cost"]) - lost) < Decimal("0.000001")


def test_closes_that_were_missed_are_told_with_the_high_they_made(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        buy(live)
        clock.tick(4 * QUARTER)
        kraken.set_candles("BTC/USD", [50000] * 150 + [51500, 54000, 53500, 53200])
        kraken.set_price("BTC/USD", 53300)
        live.run("check-positions")

        moved = [detail for kind, detail in explained_steps(live, 1) if kind == "stop moved"]

    why = "price 53,300.0 and 4 missed closes, high 54,000.0"
    assert moved == [f"the stop moved from 49,000.0 to 53,000.0: {why}"]


def test_a_buy_by_hand_is_said_to_be_one(live: BotRunner) -> None:
    buy(live)

    assert "by hand" in live.run("explain", "1").stdout


def test_an_order_that_was_refused_is_part_of_the_story(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("AddOrder", "error", error="EOrder:Insufficient funds")
    live.run("buy", "BTC/USD", "100", "--yes")

    steps = explained_steps(live, 1)

    assert kinds(steps)[:2] == ["order", "not filled"]
    assert "Insufficient funds" in steps[1][1]


@pytest.mark.usefixtures("bent_time")
def test_an_order_of_unknown_outcome_is_said_to_be_one(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("AddOrder", "drop_after")
    kraken.fault("ClosedOrders", "status", times=99)
    kraken.fault("OpenOrders", "status", times=99)
    live.run("buy", "BTC/USD", "100", "--yes")

    assert kinds(explained_steps(live, 1)) == ["order", "not settled"]


def test_a_trade_that_is_none_is_named(veteran: BotRunner) -> None:
    check_error(veteran.run("explain", "9999"), 2, "9999", "botctl trades")


@pytest.mark.parametrize("word", ["0", "-1", "one", ""])
def test_a_trade_that_is_no_number_is_wrong_usage(veteran: BotRunner, word: str) -> None:
    assert veteran.run("explain", word).exit_code == 2


def test_every_story_fits_a_terminal(veteran: BotRunner) -> None:
    for trade in veteran.trades():
        run = veteran.run("explain", str(trade["id"]))
        assert run.exit_code == 0
        assert max(map(len, run.stdout.splitlines())) <= 80


# The audit trail


def events(bot: BotRunner, *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = bot.json("log", "--limit", "1000", *arguments)
    assert {frozenset(row) for row in rows} <= {EVENT}
    return rows


def test_the_log_is_the_whole_trail_in_order(veteran: BotRunner) -> None:
    veteran.run("pause", "--reason", "tea")

    rows = events(veteran)

    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    assert (rows[-1]["kind"], rows[-1]["why"], rows[-1]["symbol"]) == ("switch", "tea", None)
    assert {row["kind"] for row in rows} >= {"opened", "stop moved", "stop hit", "closed", "switch"}
    assert all(row["symbol"] for row in rows if row["trade_id"])


def test_the_log_of_a_symbol_is_its_own(veteran: BotRunner) -> None:
    all_of_them = events(veteran)

    of_one = events(veteran, "--symbol", "ETH/USD")

    assert of_one == [row for row in all_of_them if row["symbol"] == "ETH/USD"]
    assert 0 < len(of_one) < len(all_of_them)


def test_the_log_begins_where_it_is_asked_to(veteran: BotRunner) -> None:
    all_of_them = events(veteran)
    middle = all_of_them[len(all_of_them) // 2]["at"]

    assert events(veteran, "--since", middle) == [row for row in all_of_them if row["at"] >= middle]


def test_the_log_shows_the_newest(veteran: BotRunner) -> None:
    assert veteran.json("log", "--limit", "3") == events(veteran)[-3:]


def test_the_log_tells_what_happened_in_sentences_that_fit(veteran: BotRunner) -> None:
    [trade] = [row for row in veteran.trades() if row["exit_reason"]][:1]

    run, whole = veteran.run("log", "--limit", "1000"), veteran.run("log", "--limit", "1000", "--full")

    said = " ".join(run.stdout.split())
    pnl = f"{Decimal(trade['pnl']):+.2f} USD"
    assert f"trade 1 BTC/USD: closed, sold to the last lot: {trade['exit_reason']}, P&L {pnl}" in said
    assert "BTC/USD: the stop moved from 62,327.9 to 62,791.4 (price 63,120.0)" in said
    assert "status OPEN" not in said
    assert "status OPEN -> CLOSED" in whole.stdout
    assert "checked_at" not in whole.stdout
    assert max(map(len, (run.stdout + whole.stdout).splitlines())) <= 80


def test_orders_are_sentences_with_short_ids_unless_asked_for_whole_ones(veteran: BotRunner) -> None:
    [first, *_] = veteran.orders()

    shown, whole = (" ".join(veteran.run("orders", *flags).stdout.split()) for flags in ((), ("--full",)))

    assert "2025-01-03 02:15 bought 0.0015968 BTC/USD at 62,656.5, fee 0.80 USD: FILLED (order 1 of trade 1, P" in shown
    assert first["client_order_id"] not in shown
    assert first["exchange_order_id"] not in shown
    assert f"{first['exchange_order_id']}, {first['client_order_id']})" in whole


@pytest.mark.usefixtures("bent_time")
def test_an_order_without_an_outcome_says_that_it_is_looked_up(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.fault("AddOrder", "drop_after")
    kraken.fault("ClosedOrders", "status", times=99)
    kraken.fault("OpenOrders", "status", times=99)
    live.run("buy", "BTC/USD", "100", "--yes")

    said = " ".join(live.run("orders", "--unsettled").stdout.split())
    name = live.orders()[0]["client_order_id"]
    assert f"buy of 0.002 BTC/USD: UNKNOWN, each tick looks it up (order 1 of trade 1, {name})" in said


def test_an_empty_log_says_so(bot: BotRunner) -> None:
    assert bot.run("log").stdout == "demo: no events yet\n"


def test_a_log_without_an_end_is_no_json_document(bot: BotRunner) -> None:
    check_run = bot.run("log", "--follow", "--json")

    assert check_run.exit_code == 2


@pytest.mark.waits
def test_following_the_log_shows_what_comes_and_ends_well(veteran: BotRunner) -> None:
    process = veteran.spawn("log", "--follow", "--limit", "1")
    assert process.stdout is not None
    patience = threading.Timer(20, process.kill)
    patience.start()
    process.stdout.readline()  # it has read what there is, and follows from here on
    veteran.run("pause", "--reason", "a cup of tea")
    came = next(line for line in iter(process.stdout.readline, "") if "a cup of tea" in line)
    time.sleep(2.5)  # it looks again meanwhile

    patience.cancel()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "switch, a cup of tea" in came
    assert "a cup of tea" not in out
    assert err == ""
