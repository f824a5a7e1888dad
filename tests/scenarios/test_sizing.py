"""Sizes by risk and within limits: a tick, a second entry of it and a buy by hand, with Kraken's own figures."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.lies import PartOfBalances, WrongTicker
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of, prove_initial_balance, sides, trade_of

LOSS = Decimal("1865.349200")
"""Of one BTC at 50000 with its stop 1000 below, 0.80 % at each end, and a slippage of 0.05 %."""


@pytest.fixture
def two(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """BTC at 50000 with an ATR of 500, ETH at 2500 with one of 25, 10000 USD, and a Council that buys both."""
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.set(SYMBOLS="BTC/USD,ETH/USD")
    council_says(live, "BUY")
    return live


def cost_of(live: BotRunner, symbol: str) -> Decimal:
    return Decimal(trade_of(live, symbol)["entry_cost"])


def outcomes(run: Run) -> dict[str, Any]:
    return {decision["symbol"]: decision["outcome"] for decision in run.json()["decisions"]}


def test_a_tick_buys_what_loses_the_risk_at_its_stop(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SIZING="risk", RISK_PER_TRADE="0.5%", TRADE_AMOUNT_USD="7")
    council_says(live, "BUY")

    run = live.run("tick")

    amount = Decimal(trade_of(live)["amount"])
    assert run.exit_code == 0, output_of(run)
    assert (kraken.count("BalanceEx"), kraken.count("Ticker")) == (1, 2)  # as for a fixed amount
    assert amount == pytest.approx(50 / LOSS, rel=Decimal("1e-6"))
    assert amount * LOSS <= 50
    assert kraken.orders[0].vol_exec == amount


def test_the_fee_that_counts_is_the_accounts_own(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.account.fee_rate = Decimal("0.002")
    live.set(SIZING="risk", RISK_PER_TRADE="0.5%", FEE_RATE="0.3", SLIPPAGE="0")
    council_says(live, "BUY")

    live.run("tick")

    assert Decimal(trade_of(live)["amount"]) == pytest.approx(
        50 / (1000 + Decimal("0.002") * 99000), rel=Decimal("1e-6")
    )


def test_a_second_entry_of_a_tick_sees_what_the_first_one_takes(two: BotRunner, kraken: FakeKraken) -> None:
    """Each wants 2,715 of 10,000; 4,000 may be in open trades. The next tick has no room, and says so."""
    two.set(SIZING="risk", RISK_PER_TRADE="1%", MAX_EXPOSURE="0.4", SLIPPAGE="0.001", EXIT_SLIPPAGE="0.001")

    first = two.run("tick")
    costs = cost_of(two, "BTC/USD"), cost_of(two, "ETH/USD")
    kraken.set_price("SOL/USD", 100)
    kraken.flat_candles("SOL/USD", 100, 1)
    two.set(SYMBOLS="SOL/USD", COUNCIL="technical,sentiment")
    second = two.run("tick", "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), output_of(first)
    assert costs[0] == pytest.approx(50000 * 100 / Decimal("1841.4576"), rel=Decimal("1e-6"))
    assert sum(costs) == pytest.approx(Decimal(4000 / 1.001), abs=Decimal("0.01"))
    assert sides(kraken) == ["buy", "buy"]
    why = outcomes(second)["SOL/USD"]
    assert why.startswith("refused: SOL/USD: ")
    assert "MAX_EXPOSURE allows 0 (" in why
    assert "40 % of the equity of 9,96" in why
    assert "RISK_PER_TRADE allows 2,7" in why


def test_a_second_entry_of_a_tick_is_cut_to_the_cash_that_is_left(two: BotRunner, kraken: FakeKraken) -> None:
    two.set(SIZING="risk", RISK_PER_TRADE="3%", SLIPPAGE="0")

    run = two.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert 0 <= kraken.balances["ZUSD"] < Decimal("0.01")
    assert cost_of(two, "BTC/USD") > cost_of(two, "ETH/USD") > 1000


def test_limits_cut_a_fixed_amount_too(two: BotRunner, kraken: FakeKraken) -> None:
    two.set(TRADE_AMOUNT_USD="3000", MAX_TRADE_AMOUNT="2000", ALLOCATION="ETH:0.1", SLIPPAGE="0")

    two.run("tick")

    assert (cost_of(two, "BTC/USD"), cost_of(two, "ETH/USD")) == (2000, 1000)


@pytest.mark.usefixtures("bent_time")
def test_what_exits_of_the_tick_have_brought_is_free_for_its_entries(two: BotRunner, kraken: FakeKraken) -> None:
    """9000 USD are in BTC; the Council sells it, and buys ETH for most of that."""
    buy(two, "BTC/USD", "9000")
    council_says(two, "BUY", "if 'BTC/USD' in asked: print(json.dumps({'decision': 'SELL', 'reason': ''})); sys.exit()")
    two.set(SIZING="risk", RISK_PER_TRADE="2%", SLIPPAGE="0")

    run = two.run("tick")

    assert run.exit_code == 0, output_of(run)
    assert sides(kraken) == ["buy", "sell", "buy"]
    assert cost_of(two, "ETH/USD") > 5000


def test_too_little_is_refused_with_the_figures_and_is_no_error_of_the_tick(
    live: BotRunner, kraken: FakeKraken
) -> None:
    """0.00005 BTC is the minimum, 2.50 USD here."""
    live.set(SIZING="risk", RISK_PER_TRADE="0.0009%")
    council_says(live, "BUY")

    run = live.run("tick", "--json")

    why = outcomes(run)["BTC/USD"]
    assert run.exit_code == 0, output_of(run)
    assert "2.412 USD buys too little: 0.00004824 BTC is below the order minimum of 0.00005 BTC" in why
    assert "RISK_PER_TRADE allows 2.4124169 (0.0009 % of the equity of 10,000, 3.731 % lost at the stop)" in why
    assert kraken.orders == []


def test_a_missing_risk_is_named_with_what_needs_it_and_buys_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.set(SIZING="risk")
    kraken.set_price("BTC/USD", 48000)

    run = live.run("tick")
    by_hand = live.run("buy", "ETH/USD", "100", "--yes")

    assert (run.exit_code, by_hand.exit_code) == (78, 78)
    assert "SIZING=risk needs RISK_PER_TRADE" in run.stderr
    assert sides(kraken) == ["buy", "sell"]  # the stop goes on


# A look that lies


LIES = {
    "a price": WrongTicker("ETH/USD", "abc", Decimal(10)),
    "coins": PartOfBalances(("XETH",), Decimal(10)),
    "cash": PartOfBalances(("ZUSD",), Decimal(10)),
}


@parametrize("lie", list(LIES), quick=2)
@parametrize("truth_first", [False, True], quick=2)
def test_a_look_that_lies_buys_no_more(live: BotRunner, kraken: FakeKraken, lie: str, truth_first: bool) -> None:
    """A first look is compared with INITIAL_BALANCE alone, later ones with what was seen before."""
    kraken.flat_candles("ETH/USD", 2500, 25)
    kraken.balances["XETH"] = Decimal(4)
    live.set(SIZING="risk", RISK_PER_TRADE="0.1%", INITIAL_BALANCE="20000")
    council_says(live, "HOLD")
    if truth_first:
        live.run("tick")
    council_says(live, "BUY")
    kraken.lies.tell(LIES[lie], answers=1)

    live.run("tick")

    assert Decimal(trade_of(live)["amount"]) == pytest.approx(20 / LOSS, rel=Decimal("1e-5"))


def test_what_a_first_look_lied_about_sizes_no_later_entry(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(SIZING="risk", RISK_PER_TRADE="0.1%")
    council_says(live, "HOLD")
    kraken.lies.tell(LIES["cash"], answers=1)
    live.run("tick")
    council_says(live, "BUY")

    run = live.run("tick")

    assert Decimal(trade_of(live)["amount"]) <= 10 / LOSS, output_of(run)


def test_a_rate_that_is_not_believed_sizes_no_entry(live: BotRunner, kraken: FakeKraken) -> None:
    """A tenth of its dollars for an euro would make ten times as many euros of the equity."""
    kraken.balances["ZEUR"] = Decimal(1000)
    kraken.flat_candles("BTC/EUR", 46000, 460)
    kraken.flat_candles("EUR/USD", 1.08, 0.001)
    live.set(INITIAL_BALANCE="11080", SYMBOLS="BTC/EUR", SIZING="risk", RISK_PER_TRADE="0.1%", SLIPPAGE="0")
    council_says(live, "HOLD")
    live.run("tick")
    council_says(live, "BUY")
    kraken.lies.tell(WrongTicker("EUR/USD", "abc", Decimal("0.1")), answers=1)

    live.run("tick")

    assert cost_of(live, "BTC/EUR") < 300


# By hand


def test_a_buy_by_hand_may_be_sized_by_its_risk(live: BotRunner, kraken: FakeKraken) -> None:
    run = live.run("buy", "BTC/USD", "--risk", "0.5%", "--yes")

    assert run.exit_code == 0, run.stderr
    assert Decimal(trade_of(live)["amount"]) * LOSS == pytest.approx(50, rel=Decimal("1e-6"))


def test_a_buy_by_risk_keeps_to_the_limits_and_is_refused_with_them(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(MAX_EXPOSURE="0.01", SLIPPAGE="0")
    buy(live, "ETH/USD", "99")
    kraken.flat_candles("SOL/USD", 100, 1)

    run = live.run("buy", "BTC/USD", "--risk", "0.005", "--yes")

    assert run.exit_code == 3, run.stderr
    assert "MAX_EXPOSURE allows 0.992" in run.stderr
    assert "of which 99 is in open trades" in run.stderr
    assert sides(kraken) == ["buy"]


def test_an_account_in_two_currencies_is_counted_in_that_of_the_entry(live: BotRunner, kraken: FakeKraken) -> None:
    """10,000 USD and 1,000 EUR at 1.08 are 10,259.26 EUR. What was bought in EUR is worth its dollars to the next."""
    kraken.balances["ZEUR"] = Decimal(1000)
    kraken.flat_candles("BTC/EUR", 46000, 460)
    kraken.flat_candles("ETH/USD", 2500, 25)
    live.set(INITIAL_BALANCE="11080", SLIPPAGE="0", MAX_EXPOSURE="0.02")

    bought = live.run("buy", "BTC/EUR", "--risk", "0.1%", "--yes")
    refused = live.run("buy", "ETH/USD", "--risk", "0.1%", "--yes")

    assert (bought.exit_code, refused.exit_code) == (0, 3), bought.stderr + refused.stderr
    cost = cost_of(live, "BTC/EUR")
    assert cost == pytest.approx(Decimal("0.02") * 11080 / Decimal("1.08"), abs=Decimal("0.001"))
    worth = cost / 46000 * 50000
    assert f"of which {worth:.3f}" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["100", "--risk", "1%"], "can't be used together"),
        (["--risk", "half"], "--risk 'half' must be a fraction"),
        (["--risk", "-1%"], "--risk '-1%' must be above 0"),
        (["--risk", "0.5"], "--risk 50.00 % must be below MAX_DRAWDOWN, 20.00 %"),
    ],
)
def test_a_risk_that_cannot_be_meant_buys_nothing(
    live: BotRunner, kraken: FakeKraken, arguments: list[str], words: str
) -> None:
    run = live.run("buy", "BTC/USD", *arguments, "--yes")

    assert run.exit_code == 2, output_of(run)
    assert words in run.stderr
    assert kraken.orders == []


def test_an_amount_by_hand_counts_above_every_limit_and_each_is_named(live: BotRunner, kraken: FakeKraken) -> None:
    prove_initial_balance(live)
    live.set(MAX_TRADE_AMOUNT="50", MAX_EXPOSURE="0.005", ALLOCATION="BTC:0.001,ETH:0.9")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert run.exit_code == 0, run.stderr
    assert cost_of(live, "BTC/USD") == 100
    for words in ("MAX_TRADE_AMOUNT allows 50", "MAX_EXPOSURE allows 50", "ALLOCATION allows 10 (0.1 % of"):
        assert f"BTC/USD: 100 is above {words}" in run.stderr


def test_an_amount_by_hand_within_the_limits_says_nothing_and_asks_nothing_more(
    live: BotRunner, kraken: FakeKraken
) -> None:
    prove_initial_balance(live)
    live.set(MAX_TRADE_AMOUNT="100", ALLOCATION="ETH:0.001")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    assert (run.exit_code, run.stderr) == (0, "")
    assert (kraken.count("BalanceEx"), kraken.count("Ticker")) == (1, 1)


def test_the_doctor_sizes_as_the_next_entry_would_be_and_names_a_misspelled_asset(live: BotRunner) -> None:
    live.set(SIZING="risk", RISK_PER_TRADE="0.5%", ALLOCATION="BTC:0.0001,BTX:0.5")

    lines = {line["name"]: line for line in live.run("doctor", "--json").json()}

    assert lines["symbols"]["detail"] == "ALLOCATION names BTX, which is not an asset of SYMBOLS"
    assert lines["funds"]["detail"] == "10,000.00 USD free, which limits a size by risk"
    assert lines["minimums"]["status"] == "fail"
