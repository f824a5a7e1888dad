"""The account's own fees: asked once a day, in what a trade is shown to bring, and in the rules on request."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, sides, stopped_clock, trade_of

DAY, QUARTER = 86_400, 900


def shown(live: BotRunner) -> dict[str, Any]:
    [position] = live.json("positions", "--live")
    return dict(position)


def fees_of(live: BotRunner) -> list[dict[str, Any]]:
    return [line for line in live.run("doctor", "--json").json() if line["name"] in ("fees", "funds")]


def test_fees_are_asked_for_once_a_day_and_never_by_a_stop_check(live: BotRunner, kraken: FakeKraken) -> None:
    asked = []
    with stopped_clock() as clock:
        for command in ("check-positions", "drawdown", "tick", "tick", "buy BTC/USD 100 --yes", "tick"):
            live.run(*command.split())
            asked.append(kraken.count("TradeVolume"))
            clock.tick(QUARTER)
        live.run("buy", "SOL/USD", "100", "--yes")  # a market that was not asked for
        live.run("tick")
        with_another = kraken.count("TradeVolume")
        clock.tick(DAY)
        live.run("tick")

    assert asked == [0, 0, 1, 1, 1, 1]
    assert (with_another, kraken.count("TradeVolume")) == (2, 3)


@parametrize("sold_before", [None, "0.0005"], quick=1)
def test_a_flat_position_shows_minus_both_fees_and_is_sold_for_exactly_that(
    live: BotRunner, kraken: FakeKraken, sold_before: str | None
) -> None:
    kraken.account.fee_rate = Decimal("0.006")
    buy(live)
    if sold_before is not None:
        kraken.set_price("BTC/USD", 50400)
        live.run("sell", "BTC/USD", sold_before, "--yes")
        kraken.set_price("BTC/USD", 50000)

    position = shown(live)
    even = Decimal(position["break_even_price"])
    kraken.set_price("BTC/USD", round(float(even), 1))
    at_break_even = Decimal(shown(live)["net_pnl"])
    kraken.set_price("BTC/USD", 50000)
    live.run("sell", "BTC/USD", "--yes")

    before = Decimal(0) if sold_before is None else Decimal("0.2") - Decimal("25.2") * Decimal("0.006")
    left = Decimal(100) if sold_before is None else Decimal(75)
    assert Decimal(position["unrealized_pnl"]) == 0
    assert Decimal(position["net_pnl"]) == before - Decimal("0.6") - left * Decimal("0.006")
    assert Decimal(trade_of(live)["pnl"]).quantize(Decimal("0.01")) == Decimal(position["net_pnl"]).quantize(
        Decimal("0.01")
    )
    assert abs(at_break_even) < Decimal("0.001")


def test_one_word_means_one_thing_in_every_table(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)

    tables = [live.run("positions", "--live").stdout, live.run("check-positions").stdout]
    sold = live.run("sell", "BTC/USD", "--yes").stdout

    assert all("-1.60" in table and "50,806.5 " in table for table in tables), tables
    assert "-1.60" in sold
    assert "-1.60" in live.run("trades").stdout


def test_a_fill_with_another_fee_asks_anew_once(live: BotRunner, kraken: FakeKraken) -> None:
    with stopped_clock() as clock:
        live.run("tick")
        kraken.account.fee_rate = Decimal("0.0038")
        buy(live)
        at_once = kraken.count("TradeVolume")
        for _ in range(3):
            clock.tick(QUARTER)
            live.run("tick")
        later = kraken.count("TradeVolume")

        position = shown(live)

    assert (at_once, later) == (1, 2)
    assert Decimal(position["net_pnl"]) == Decimal("-0.76")


@parametrize(
    "answer",
    [
        {"currency": "ZUSD", "volume": "0.0000", "fees": None, "fees_maker": None},
        {"fees": {"XXBTZUSD": {"fee": "much"}}},
        {"fees": {"XXBTZUSD": {"fee": "8.0000"}}},
        [],
    ],
    quick=2,
)
def test_an_answer_that_tells_no_fee_stops_nothing(live: BotRunner, kraken: FakeKraken, answer: Any) -> None:
    kraken.fault("TradeVolume", "shape", times=9, body={"error": [], "result": answer})

    buy(live)

    assert Decimal(shown(live)["net_pnl"]) == Decimal("-1.6")


def test_without_an_answer_the_last_fees_count_and_before_the_first_one_the_setting(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(FEE_RATE="tier2")
    kraken.fault("TradeVolume", "html", times=9)
    with stopped_clock() as clock:
        first = live.run("buy", "BTC/USD", "100", "--yes")
        by_setting = shown(live)["net_pnl"]
        kraken.clear_faults()
        clock.tick(DAY)
        live.run("tick")
        known = shown(live)["net_pnl"]
        kraken.fault("TradeVolume", "html", times=9)
        clock.tick(DAY)
        silent = live.run("tick")

        assert shown(live)["net_pnl"] == known

    assert (first.exit_code, silent.exit_code) == (0, 0), output_of(silent)
    assert "the account's fees can't be fetched, 0.60 % (FEE_RATE) is used" in first.stderr
    assert "the last ones are used" in silent.stderr
    assert [Decimal(by_setting), Decimal(known)] == [Decimal("-1.4"), Decimal("-1.6")]  # the entry's own fee was 0.80


def test_the_doctor_names_tier_rates_and_what_a_round_trip_costs_and_asks_each_time(
    live: BotRunner, kraken: FakeKraken
) -> None:
    with stopped_clock() as clock:
        first = fees_of(live)
        kraken.account.fee_rate = Decimal("0.0033")
        clock.tick(60)  # Kraken's rate counter forgives
        second = fees_of(live)
        kraken.key.permissions.remove("query-funds")
        clock.tick(60)
        without_right = fees_of(live)

    assert [line["status"] for line in first] == ["ok", "ok"]
    assert first[0]["detail"].startswith("BTC/USD: tier 1, 0.80 % at market (0.40 % resting): a round trip ")
    assert first[0]["detail"].endswith("a round trip costs 1.60 %, 1.60 of an entry of 100")
    assert "one entry needs 100.80 USD" in first[1]["detail"]
    assert "0.33 % at market" in second[0]["detail"]
    assert "one entry needs 100.33 USD" in second[1]["detail"]
    assert (without_right[0]["status"], without_right[0]["name"]) == ("warn", "fees")
    assert "FEE_RATE, 0.80 %, is used" in without_right[0]["detail"]


def test_a_breakeven_stop_may_cover_both_fees(live: BotRunner, kraken: FakeKraken) -> None:
    """100.80 paid for 0.002 BTC, a sale loses 0.80 %: 50,806.45. It needs 250 (half an ATR) below the price."""
    live.set(BREAKEVEN_ATR="1", BREAKEVEN_FEES="yes", ATR_MULTIPLE="4")
    buy(live)
    stops = []
    for price in (50501, 51056, 51057, 50900):
        kraken.set_price("BTC/USD", price)
        live.run("check-positions")
        stops.append(float(trade_of(live)["stop_loss_price"]))
    even = float(shown(live)["break_even_price"])
    kraken.set_price("BTC/USD", 50806.4)
    live.run("check-positions")

    trade = trade_of(live)
    assert stops == pytest.approx([50000, 50000, even, even])
    assert even == pytest.approx(50806.4516)
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "BREAKEVEN")
    assert abs(Decimal(trade["pnl"])) < Decimal("0.001")


def test_an_entry_whose_stop_is_too_close_for_its_costs_is_refused_and_says_so(
    live: BotRunner, kraken: FakeKraken
) -> None:
    """The stop is 2 % below the ask; a round trip costs 1.6 %."""
    live.set(MIN_STOP_COSTS="1.3", SYMBOLS="BTC/USD")
    council_says(live, "BUY")

    by_hand = live.run("buy", "BTC/USD", "100", "--yes")
    tick = live.run("tick", "--json")
    live.set(MIN_STOP_COSTS="1.25")
    allowed = live.run("tick")

    assert (by_hand.exit_code, tick.exit_code, allowed.exit_code) == (3, 0, 0), output_of(tick)
    outcome = tick.json()["decisions"][0]["outcome"]
    assert "refused: the stop of BTC/USD would be 2.00 % below the ask, less than 1.3 times the 1.60 %" in outcome
    assert sides(kraken) == ["buy"]
