"""Story 4: too far below the initial balance, twice seen, everything is sold, and nothing is bought until told so."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken, Request
from tests.quick import parametrize
from tests.scenarios.steps import (
    buy,
    council_says,
    execute_sql,
    output_of,
    prove_initial_balance,
    requested_endpoints,
    sides,
    trade_of,
)


def worth(kraken: FakeKraken, equity: float | str, *, btc: Any = 50000) -> None:
    """Bitcoin costs `btc`, and the account's dollars make up the rest of `equity`."""
    kraken.set_price("BTC/USD", btc)
    coins = kraken.balances.get("XXBT", Decimal(0))
    kraken.balances["ZUSD"] = Decimal(str(equity)) - coins * Decimal(str(btc))


def trip(live: BotRunner) -> None:
    """The guard fired on an earlier visit."""
    execute_sql(live, "UPDATE systemconfig SET value = '2026-01-01T00:00:00+00:00' WHERE key = 'tripped_at'")
    execute_sql(live, "UPDATE systemconfig SET value = 'false' WHERE key = 'buy_enabled'")


def sold(kraken: FakeKraken) -> list[str]:
    return [order.symbol for order in kraken.orders if order.side == "sell"]


@pytest.mark.usefixtures("bent_time")
def test_more_than_a_fifth_down_sells_everything_and_disables_buys(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    buy(live, "ETH/USD")
    prove_initial_balance(live)
    kraken.balances["SOL"] = Decimal(2)  # the owner's own, worth 300
    kraken.balances["XXBT"] += Decimal("0.01")
    coins = kraken.balances["XXBT"] * 50000 + kraken.balances["XETH"] * 2500 + 300
    kraken.balances["ZUSD"] = 7990 - coins
    council_says(live, "BUY")

    run = live.run("tick")
    status = live.json("status")
    bought = live.run("buy", "SOL/USD", "100", "--yes")

    fees = sum((order.fee for order in kraken.orders if order.side == "sell"), Decimal(0))
    assert run.exit_code == 3, output_of(run)
    assert "drawdown guard tripped" in run.stderr
    assert "7990.00" in run.stderr
    assert "20.10 %" in run.stderr
    assert {trade["exit_reason"] for trade in live.trades()} == {"DRAWDOWN"}
    assert live.positions() == []
    assert (status["buy_enabled"], status["tripped_at"] is not None) == (False, True)
    assert Decimal(status["equity"]) == 7990 - fees  # after its own sells
    assert Decimal(status["drawdown"]) == Decimal("0.201") + fees / 10000
    assert (kraken.balances["SOL"], kraken.balances["XXBT"]) == (2, Decimal("0.01"))
    assert bought.exit_code == 3
    assert sides(kraken) == ["buy", "buy", "sell", "sell"]


@parametrize("equity", [8000, 12000, 8010, "8000.0001"], quick=2)
def test_a_fifth_down_or_less_trips_nothing(live: BotRunner, kraken: FakeKraken, equity: float | str) -> None:
    buy(live)
    worth(kraken, equity)
    kraken.clear_requests()

    run = live.run("drawdown", "--json")

    assert run.exit_code == 0, output_of(run)
    assert Decimal(run.json()["equity"]) == Decimal(str(equity))
    assert run.json()["tripped"] is False
    assert live.json("status")["buy_enabled"] is True
    assert sold(kraken) == []
    assert requested_endpoints(kraken).count("BalanceEx") == 1


@pytest.mark.usefixtures("bent_time")
def test_a_hair_more_than_a_fifth_down_trips_also_while_paused(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.run("pause")
    prove_initial_balance(live)
    worth(kraken, "7999.9999")

    run = live.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert trade_of(live)["exit_reason"] == "DRAWDOWN"


def test_the_limit_is_the_settings_own(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(MAX_DRAWDOWN="0.5")
    buy(live)
    worth(kraken, 5001)

    assert live.run("drawdown").exit_code == 0
    assert sold(kraken) == []


# The second snapshot


@pytest.mark.usefixtures("bent_time")
def test_a_first_look_that_a_second_does_not_confirm_sells_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    council_says(live, "HOLD")
    worth(kraken, 7000)

    asked: set[str] = set()

    def recover_after_the_first_snapshot(request: Request) -> None:
        """Its two calls go out side by side, and either may be answered first."""
        asked.add(request.endpoint)
        if asked >= {"BalanceEx", "Ticker"}:
            worth(kraken, 9900)

    kraken.after = recover_after_the_first_snapshot
    kraken.clear_requests()
    run = live.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert "not confirmed" in run.stderr
    assert requested_endpoints(kraken).count("BalanceEx") == requested_endpoints(kraken).count("Ticker") == 2
    assert sold(kraken) == []
    assert live.json("status")["buy_enabled"] is True


@pytest.mark.usefixtures("bent_time")
def test_a_second_look_that_cannot_be_had_leaves_the_drawdown_unknown(live: BotRunner, kraken: FakeKraken) -> None:
    """One look says too deep, and nobody denies it: no liquidation, but no buys either, and an error said."""
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    council_says(live, "BUY")
    worth(kraken, 7000)
    kraken.fault("BalanceEx", "empty_result", skip=1)

    run = live.run("tick")

    assert sides(kraken) == ["buy"]
    assert run.exit_code not in (0, 3), output_of(run)


@pytest.mark.usefixtures("bent_time")
@parametrize("kind", ["empty_result", "truncated"], quick=1)
def test_a_bad_balance_answer_sells_nothing_and_buys_nothing(live: BotRunner, kraken: FakeKraken, kind: str) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    council_says(live, "BUY")
    kraken.fault("BalanceEx", kind, times=9)

    run = live.run("tick")

    assert run.exit_code == 69, output_of(run)
    assert sides(kraken) == ["buy"]
    assert "drawdown is unknown" in live.json("why", "ETH/USD")[0]["reason"]
    status = live.json("status")
    assert (status["buy_enabled"], status["last_tick_ok"]) == (True, False)


def test_a_balance_that_was_never_priced_counts_for_nothing_and_is_named_once(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    buy(live)
    council_says(live, "BUY")
    kraken.balances["LUNA2"] = Decimal("0.00000001")
    kraken.balances["OLD3"] = Decimal(7)
    live.set(IGNORE_ASSETS="OLD3")

    first, second = live.run("tick"), live.run("tick")

    assert (first.exit_code, second.exit_code) == (0, 0), output_of(first)
    assert ("LUNA2 has no price" in output_of(first), "LUNA2" in output_of(second)) == (True, False)
    assert "OLD3" not in output_of(first)
    assert sides(kraken) == ["buy", "buy"]
    assert Decimal(live.json("status")["drawdown"]) < Decimal("0.001")


def test_a_held_coin_whose_price_is_gone_counts_at_its_last_known_value(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XETH"] = Decimal(4)
    before = live.json("drawdown", "--check")
    kraken.set_price("ETH/USD", 0)

    assert live.json("drawdown", "--check")["equity"] == before["equity"]


def test_a_coin_that_gets_a_price_is_no_gain(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XETH"] = Decimal(4)
    kraken.set_price("ETH/USD", 0)
    live.run("drawdown", "--check")
    kraken.set_price("ETH/USD", 2500)

    assert Decimal(live.json("drawdown", "--check")["drawdown"]) == 0


# What counts


def test_earning_forms_and_the_owners_other_coins_count(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.balances |= {
        "ZUSD": Decimal(1000),
        "USD.F": Decimal(100),
        "XXBT": Decimal("0.01"),  # 500
        "XBT.F": Decimal("0.02"),  # 1000
        "XBT.M": Decimal("0.02"),  # 1000
        "ETH.B": Decimal(1),  # 2500
        "DOT28.S": Decimal(100),  # 500
        "ADA.P": Decimal(1000),  # 500
        "ZEUR": Decimal(1000),  # 1080
        "KFEE": Decimal(999),
    }

    report = live.json("drawdown", "--check")

    assert Decimal(report["equity"]) == 1000 + 100 + 500 + 1000 + 1000 + 2500 + 500 + 500 + 1080


@pytest.mark.usefixtures("bent_time")
def test_the_check_only_reports(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    prove_initial_balance(live)
    worth(kraken, 7000)

    run = live.run("drawdown", "--check", "--json")

    assert run.exit_code == 3, output_of(run)
    assert (run.json()["tripped"], Decimal(run.json()["drawdown"])) == (True, Decimal("0.3"))
    assert sold(kraken) == []
    status = live.json("status")
    assert (status["buy_enabled"], status["tripped_at"]) == (True, None)


# It stays tripped


@pytest.mark.long
@pytest.mark.usefixtures("bent_time")
def test_what_could_not_be_sold_at_first_is_sold_by_a_later_tick(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    buy(live, "ETH/USD")
    prove_initial_balance(live)
    worth(kraken, 7000)
    kraken.fault("AddOrder", "error", error="EGeneral:Permission denied")

    first = live.run("tick")
    after_first = [trade["status"] for trade in live.trades()]
    worth(kraken, 20000)  # also when the account is back above the limit
    second = live.run("tick")

    assert (first.exit_code, second.exit_code) == (3, 3)
    assert "Permission denied" in first.stderr
    assert sorted(after_first) == ["CLOSED", "OPEN"]
    assert {trade["exit_reason"] for trade in live.trades()} == {"DRAWDOWN"}
    assert live.positions() == []


def test_a_tripped_guard_closes_what_is_open_and_hears_no_council(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    trip(live)
    council_says(live, "BUY")
    kraken.clear_requests()

    run = live.run("tick")

    assert run.exit_code == 3
    assert trade_of(live)["exit_reason"] == "DRAWDOWN"
    assert "OHLC" not in requested_endpoints(kraken)


def test_only_enabling_buys_by_hand_ends_it(live: BotRunner, kraken: FakeKraken) -> None:
    trip(live)

    resumed = live.run("resume")
    still = live.run("buy", "BTC/USD", "100", "--yes")
    tick = live.run("tick")
    enabled = live.run("resume", "--enable-buys")
    allowed = live.run("buy", "BTC/USD", "100", "--yes")

    assert (resumed.exit_code, still.exit_code, tick.exit_code) == (0, 3, 3)
    assert "buys stay disabled" in resumed.stderr
    assert "--enable-buys" in still.stderr
    assert (enabled.exit_code, allowed.exit_code) == (0, 0), output_of(allowed)
    assert live.json("status")["tripped_at"] is None


@pytest.mark.usefixtures("bent_time")
@parametrize("damage", ["DROP TABLE systemconfig", "DELETE FROM systemconfig"], quick=1)
def test_the_guard_sells_also_when_the_switch_is_broken(live: BotRunner, kraken: FakeKraken, damage: str) -> None:
    buy(live)
    prove_initial_balance(live)
    worth(kraken, 7000)
    execute_sql(live, damage)

    run = live.run("tick")

    assert sold(kraken) == ["BTC/USD"], output_of(run)
    assert run.exit_code != 0


# The eject button


@parametrize("state", [(), ("pause", "--freeze"), ("pause",)], quick=2, ids=["active", "frozen", "paused"])
def test_liquidate_sells_every_trade_and_disables_buys(
    live: BotRunner, kraken: FakeKraken, state: tuple[str, ...]
) -> None:
    buy(live)
    buy(live, "ETH/USD")
    kraken.balances["XXBT"] += 1
    if state:
        live.run(*state)

    run = live.run("liquidate", "--yes", "--json")

    assert run.exit_code == 0, output_of(run)
    assert len(run.json()["exits"]) == 2
    assert {trade["exit_reason"] for trade in live.trades()} == {"LIQUIDATION"}
    assert kraken.balances["XXBT"] == 1
    live.run("resume")
    assert live.json("status")["buy_enabled"] is False
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 3
    live.run("tick")
    assert live.json("status")["buy_enabled"] is False


def test_liquidate_refuses_without_a_yes_off_a_terminal(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.clear_requests()

    run = live.fork_to_its_end("liquidate")

    assert run.exit_code == 2
    assert "--yes" in run.stderr
    assert requested_endpoints(kraken) == []
    assert live.json("status")["buy_enabled"] is True


def test_liquidate_works_when_the_switch_is_broken(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    execute_sql(live, "DROP TABLE systemconfig")

    run = live.run("liquidate", "--yes")

    assert sold(kraken) == ["BTC/USD"], output_of(run)
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 3


def test_liquidate_without_prices_and_balances_still_sells(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.fault("BalanceEx", "empty_result", times=9)
    kraken.fault("Ticker", "shape", times=9, body={"error": [], "result": {}})

    run = live.run("liquidate", "--yes")

    assert trade_of(live)["exit_reason"] == "LIQUIDATION", output_of(run)
