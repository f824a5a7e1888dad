"""A market that was renamed or delisted: nothing else waits for it, every run says so, and the owner ends the trade."""

import time
from decimal import Decimal
from functools import partial

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.quick import parametrize
from tests.scenarios.database_loss import lose
from tests.scenarios.journal_tools import lose_the_next_order, sent
from tests.scenarios.steps import buy, council_says, execute_sql, output_of, requested_endpoints, trade_of

pytestmark = pytest.mark.usefixtures("bent_time")


@pytest.fixture
def two(live: BotRunner, kraken: FakeKraken) -> None:
    """An open trade of BTC (1) and one of SOL (2), whose market is about to go."""
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    buy(live, "SOL/USD")
    time.sleep(900)


def age_markets(live: BotRunner) -> None:
    """The next run fetches the list of markets."""
    execute_sql(live, "UPDATE memory SET saved_at = '2020-01-01T00:00:00.000000+00:00' WHERE key = 'kraken.markets'")


def delist(kraken: FakeKraken) -> None:
    kraken.markets.remove("SOL/USD")


def rename(kraken: FakeKraken) -> None:
    """SOL becomes NEW, coin by coin."""
    kraken.markets.add("NEW/USD", 150, pair_decimals=2)
    kraken.balances["NEW"] = kraken.balances.pop("SOL")
    delist(kraken)


def list_again_after_the_list(kraken: FakeKraken, request: Request) -> None:
    if request.endpoint == "AssetPairs":
        kraken.markets.list_again("SOL/USD")
        kraken.after = None


def sold(kraken: FakeKraken) -> list[str]:
    return [order.symbol for order in kraken.orders if order.side == "sell"]


@pytest.mark.parametrize("gone", [delist, rename])
@parametrize("again", [False, True], quick=1, ids=["at once", "one run later"])
def test_the_stops_and_entries_of_others_go_on_and_the_trade_stays_open(
    two: None, live: BotRunner, kraken: FakeKraken, gone: object, again: bool
) -> None:
    assert callable(gone)
    gone(kraken)
    if again:
        assert live.run("check-positions").exit_code == 4
    council_says(live, "BUY")
    kraken.set_price("BTC/USD", 48900)

    run = live.run("tick", "--json")

    assert run.exit_code == 4, output_of(run)
    assert sold(kraken) == ["BTC/USD"]
    assert [order.symbol for order in kraken.orders if order.side == "buy"][2:] == ["ETH/USD"]
    assert trade_of(live, "SOL/USD")["status"] == "OPEN"
    said = [error for error in run.json()["errors"] if "SOL" in error]
    assert len(said) == 1
    assert "`botctl forget 2" in said[0]
    assert ("NEW, which it may have been renamed to" in said[0]) == (gone is rename)
    assert run.json()["drawdown"] is not None


def test_every_command_says_so_and_names_forget(two: None, live: BotRunner, kraken: FakeKraken) -> None:
    delist(kraken)

    acting = {name: live.run(*name.split()) for name in ("check-positions", "tick", "drawdown", "sell SOL/USD --yes")}
    told = {name: live.run(*name.split()) for name in ("status", "positions", "positions --live", "trades")}
    doctor = live.run("doctor")
    liquidated = live.run("liquidate", "--yes")

    for name, run in acting.items():
        assert run.exit_code == 4, f"{name}: {output_of(run)}"
        assert "`botctl forget 2" in run.stderr, name
    for name, run in told.items():
        assert run.exit_code == 0, name
        assert ("`botctl forget 2`" in run.stderr) == (name != "trades"), name
    assert doctor.exit_code == 1
    assert "botctl forget 2" in doctor.stdout.replace("\n", " ")
    assert liquidated.exit_code == 4
    assert "`botctl forget 2" in liquidated.stderr
    assert sold(kraken) == ["BTC/USD"]


def test_a_gone_market_costs_the_others_no_request_each_and_one_look_for_itself(
    two: None, live: BotRunner, kraken: FakeKraken
) -> None:
    live.run("pause")
    delist(kraken)
    kraken.clear_requests()
    live.run("tick")
    first = sorted(requested_endpoints(kraken))
    kraken.clear_requests()

    live.run("tick")

    assert first == ["AssetPairs", "AssetPairs", "BalanceEx", "Ticker", "Ticker"]
    assert sorted(requested_endpoints(kraken)) == ["AssetPairs", "BalanceEx", "Ticker"]
    assert kraken.requests[-1].params["pair"] == "SOLUSD"


@pytest.mark.long
def test_a_true_drawdown_trips_the_guard_beside_a_gone_market(two: None, live: BotRunner, kraken: FakeKraken) -> None:
    delist(kraken)
    kraken.balances["ZUSD"] = Decimal(7000)

    run = live.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert sold(kraken) == ["BTC/USD"]
    assert trade_of(live, "SOL/USD")["status"] == "OPEN"


def test_a_coin_without_market_counts_at_its_last_known_value_and_stops_no_buys(
    live: BotRunner, kraken: FakeKraken
) -> None:
    buy(live, "SOL/USD", "3000")
    buy(live)
    council_says(live, "BUY")
    live.set(SYMBOLS="ETH/USD")
    delist(kraken)

    run = live.run("tick", "--json")

    assert Decimal(run.json()["equity"]) == Decimal("9974.4"), output_of(
        run
    )  # 0.8 % of 3,000, 100 and the 100 of this run
    assert (sold(kraken), len(kraken.orders)) == ([], 3)


@parametrize("lie", ["the list lacks it", "Ticker refuses it"], quick=1)
def test_a_list_that_lacks_a_market_for_once_keeps_no_stop_from_selling(
    two: None, live: BotRunner, kraken: FakeKraken, lie: str
) -> None:
    kraken.set_price("SOL/USD", 100)
    if lie == "Ticker refuses it":
        kraken.fault("Ticker", "error", times=4, error="EQuery:Unknown asset pair")
    else:
        delist(kraken)
        kraken.after = partial(list_again_after_the_list, kraken)

    run = live.run("check-positions")

    assert sold(kraken) == ["SOL/USD"], output_of(run)
    assert live.run("check-positions").exit_code == 0


def test_a_market_that_came_back_is_guarded_again_without_a_word(
    two: None, live: BotRunner, kraken: FakeKraken
) -> None:
    delist(kraken)
    live.run("check-positions")
    kraken.markets.list_again("SOL/USD")

    back, later = live.run("check-positions"), live.run("positions")

    assert (back.exit_code, later.stderr) == (0, ""), output_of(back)


def test_a_market_that_cannot_be_asked_for_is_not_gone(two: None, live: BotRunner, kraken: FakeKraken) -> None:
    delist(kraken)
    live.run("check-positions")
    kraken.fault("AssetPairs", "html", times=9)

    run = live.run("check-positions")

    assert run.exit_code == 69, output_of(run)
    assert "asking again failed" in run.stderr
    assert "`botctl forget 2`" in run.stderr


def test_a_status_that_says_delisted_is_said_and_the_stop_still_tries(
    two: None, live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.markets["SOL/USD"].status = "delisted"
    age_markets(live)

    quiet = live.run("check-positions")
    kraken.set_price("SOL/USD", 100)
    live.run("check-positions")

    assert quiet.exit_code == 4, output_of(quiet)
    assert "`botctl forget 2" in quiet.stderr
    assert len(sent(kraken, "sell")) == 1


def test_a_lost_trade_of_a_gone_market_stops_the_recovery_of_no_other(
    two: None, live: BotRunner, kraken: FakeKraken
) -> None:
    delist(kraken)
    lose(live)

    run = live.run("recover", "--apply", "--yes", "--json")

    assert run.exit_code == 1, output_of(run)
    assert {action["action"] for action in run.json()["actions"]} == {"add", "problem"}
    assert [trade["symbol"] for trade in live.positions()] == ["BTC/USD"]


# A market that is closed or unknown is asked for again before it is refused


def test_an_entry_into_a_market_that_opened_since_the_list_was_made_is_placed(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.markets["BTC/USD"].status = "cancel_only"
    age_markets(live)
    closed = live.run("buy", "BTC/USD", "100", "--yes")
    kraken.markets["BTC/USD"].status = "online"
    kraken.clear_requests()

    opened = live.run("buy", "BTC/USD", "100", "--yes")
    asked = kraken.count("AssetPairs")
    live.run("tick")

    assert (closed.exit_code, opened.exit_code) == (4, 0), output_of(opened)
    assert "cancel_only" in closed.stderr
    assert (asked, kraken.count("AssetPairs")) == (1, 1)


def test_an_entry_into_a_market_that_was_listed_since_is_placed_and_an_unknown_one_refused(
    live: BotRunner, kraken: FakeKraken
) -> None:
    kraken.markets.add("FRESH/USD", 10)

    listed, unknown = live.run("buy", "FRESH/USD", "100", "--yes"), live.run("buy", "NO/USD", "100", "--yes")

    assert (listed.exit_code, unknown.exit_code) == (0, 2), output_of(listed)
    assert "unknown market NO/USD" in unknown.stderr


@pytest.mark.long
def test_a_closed_market_costs_a_quiet_run_nothing(two: None, live: BotRunner, kraken: FakeKraken) -> None:
    kraken.markets["SOL/USD"].status = "cancel_only"
    age_markets(live)
    live.run("pause")
    live.run("tick")
    kraken.clear_requests()

    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert sorted(requested_endpoints(kraken)) == ["BalanceEx", "Ticker"]


# forget


@parametrize("price", [None, "120"], quick=1)
def test_forget_closes_a_trade_by_the_owners_word_and_everything_leaves_it_in_peace(
    two: None, live: BotRunner, kraken: FakeKraken, price: str | None
) -> None:
    rename(kraken)
    live.run("check-positions")
    trade = trade_of(live, "SOL/USD")

    run = live.run("forget", "2", "--yes", "--json", *(() if price is None else ("--price", price)))

    assert run.exit_code == 0, output_of(run)
    closed = run.json()
    assert (closed["status"], closed["exit_reason"], closed["amount"]) == ("CLOSED", "EXTERNAL", trade["amount"])
    if price is None:
        assert (closed["pnl"], closed["exit_price"]) == (None, None)
    else:
        proceeds = Decimal(trade["amount"]) * Decimal(price)
        assert Decimal(closed["pnl"]) == proceeds - Decimal(trade["entry_cost"]) - Decimal(trade["entry_fee"])
        assert Decimal(closed["exit_price"]) == 120
    assert "by the owner's word" in live.run("log").stdout.replace("\n", " ")
    for command in ("check-positions", "reconcile", "recover", "status", "positions", "db check", "explain 2"):
        after = live.run(*command.split())
        assert after.exit_code == 0, f"{command}: {output_of(after)}"
        assert "SOL" not in after.stderr
    assert sent(kraken, "sell") == []


def test_forget_refuses_what_it_cannot_close(two: None, live: BotRunner, kraken: FakeKraken) -> None:
    live.run("sell", "BTC/USD", "--yes")
    lose_the_next_order(kraken)
    live.run("sell", "SOL/USD", "--yes")

    runs = [live.run("forget", *words) for words in (("9", "--yes"), ("1", "--yes"), ("2", "--yes"), ("2",))]
    bad = live.run("forget", "2", "--yes", "--price", "0")

    assert [run.exit_code for run in runs] == [3, 3, 69, 69], [output_of(run) for run in runs]
    assert "there is no trade 9" in runs[0].stderr
    assert "is CLOSED" in runs[1].stderr
    assert "botctl check-positions" in runs[2].stderr
    assert bad.exit_code == 2


def test_forget_asks_first(two: None, live: BotRunner) -> None:
    run = live.run("forget", "2")

    assert run.exit_code == 2
    assert trade_of(live, "SOL/USD")["status"] == "OPEN"
