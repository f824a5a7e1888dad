"""Deposits, withdrawals and the owner's own trades are no gain and no loss: they move the base of the drawdown."""

from decimal import Decimal

import pytest

from tests import quick
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.cli.pages import read_page
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, council_says, output_of, trade_of

pytestmark = pytest.mark.usefixtures("bent_time")


@pytest.fixture
def account(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A small trade of BTC, the owner's own 2 ETH, which are half of the account, and a tick that saw them."""
    live.set(INITIAL_BALANCE="10000")
    council_says(live, "HOLD")
    kraken.balances.update({"ZUSD": Decimal(5000), "XETH": Decimal(2)})
    buy(live)
    assert live.run("tick").exit_code == 0
    return live


def move(kraken: FakeKraken, **changes: str) -> None:
    for asset, change in changes.items():
        kraken.balances[asset] = kraken.balances.get(asset, Decimal(0)) + Decimal(change)


def drawdown(account: BotRunner) -> Decimal:
    """As a tick says it, to the tenth of a per cent; it must not trip."""
    run = account.run("tick", "--json")
    assert run.exit_code == 0, output_of(run)
    return round(Decimal(run.json()["drawdown"]), 3)


def flows(account: BotRunner) -> list[str]:
    return [event["why"] for event in account.json("log") if event["kind"] == "flow"]


FLOWS = {
    "a withdrawal of cash": {"ZUSD": "-4800"},
    "a deposit of cash": {"ZUSD": "20000"},
    "a withdrawal of coins": {"XETH": "-2"},
    "a deposit of a coin that was never seen": {"SOL": "100"},
    "the owner's own trade": {"XETH": "-1", "ZUSD": "2500"},
    "a move into staking": {"XETH": "-1", "ETH.S": "1"},
}


@quick.parametrize("flow", list(FLOWS), quick=1)
def test_what_the_owner_moves_changes_no_drawdown_at_once_or_later(
    account: BotRunner, kraken: FakeKraken, flow: str
) -> None:
    before = drawdown(account)
    move(kraken, **FLOWS[flow])

    at_once = drawdown(account)
    with later(minutes=16):
        believed = drawdown(account)
        equity = Decimal(account.json("status")["equity"])

    assert (at_once, believed) == (before, before)
    shown = sum(float(row["value"]) for row in account.json("balance"))
    assert float(equity) == pytest.approx(shown)


def test_a_withdrawal_is_in_the_audit_trail_with_what_drawdown_is_measured_from_now(
    account: BotRunner, kraken: FakeKraken
) -> None:
    move(kraken, ZUSD="-2475")
    account.run("tick")
    assert flows(account) == []
    with later(minutes=16):
        account.run("tick")

    [said] = flows(account)
    assert "2475 USD left the account" in said
    assert "measured from 752" in said


@quick.parametrize("flow", list(FLOWS), quick=1)
@pytest.mark.parametrize("minutes", [0, 16])
def test_a_true_loss_among_flows_trips_the_guard_within_one_tick(
    account: BotRunner, kraken: FakeKraken, flow: str, minutes: int
) -> None:
    """All prices fall, in the look that sees the flow first, or once it is believed."""
    move(kraken, XXBT="0.1", XETH="4")
    account.run("tick")
    with later(minutes=16):
        account.run("tick")
        move(kraken, **FLOWS[flow])
        if minutes:
            account.run("tick")
    with later(minutes=16 + minutes):
        if minutes:
            assert account.run("tick").exit_code == 0
        for symbol, price in (("BTC/USD", 15000), ("ETH/USD", 750), ("SOL/USD", 45)):
            kraken.set_price(symbol, price)
        run = account.run("tick")

    assert run.exit_code == 3, output_of(run)
    assert trade_of(account)["exit_reason"] == "DRAWDOWN"


@pytest.mark.long
def test_coins_of_a_trade_that_is_forgotten_are_no_loss(account: BotRunner, kraken: FakeKraken) -> None:
    before = drawdown(account)
    trade = trade_of(account)["id"]
    assert account.run("forget", str(trade), "--yes").exit_code == 0

    assert drawdown(account) == before
    move(kraken, XXBT="-0.002")
    with later(minutes=1):
        assert drawdown(account) == before
    with later(minutes=20):
        assert drawdown(account) == before


def test_what_our_own_trades_lose_is_a_loss_and_no_flow(account: BotRunner) -> None:
    before = drawdown(account)
    buy(account, "ETH/USD", "2000")
    account.run("sell", "ETH/USD", "--yes")

    assert drawdown(account) > before
    assert flows(account) == []


def test_what_a_stop_sells_after_the_look_is_no_flow(live: BotRunner, kraken: FakeKraken) -> None:
    """The look that sees the new coins of a buy is kept; the stop of the same tick has sold them by then."""
    council_says(live, "HOLD")
    live.run("tick")
    buy(live, amount="3000")
    kraken.set_price("BTC/USD", 48900)
    stopped = live.run("tick", "--json").json()
    with later(minutes=1):
        after = live.run("tick", "--json").json()
    with later(minutes=20):
        live.run("tick")

    assert len(stopped["exits"]) == 1
    assert Decimal(after["equity"]) == kraken.balances["ZUSD"] == Decimal(stopped["equity"])
    assert Decimal(live.json("status")["drawdown"]) == 1 - kraken.balances["ZUSD"] / 10000
    assert flows(live) == []


@quick.parametrize("change", ["-4000", "1000"], quick=1)
def test_a_new_initial_balance_counts_a_flow_that_is_in_doubt(
    account: BotRunner, kraken: FakeKraken, change: str
) -> None:
    """The owner moves cash and at once sets what the account is worth now."""
    move(kraken, ZUSD=change)
    account.run("tick")
    account.set(INITIAL_BALANCE=str(10000 + int(change)))
    account.run("tick")
    with later(minutes=20):
        believed = account.json("tick")

    assert abs(Decimal(believed["drawdown"])) < Decimal("0.001")
    assert abs(Decimal(believed["drawdown_peak"])) < Decimal("0.001")


def test_coins_that_left_before_their_price_fell_trip_nothing(account: BotRunner, kraken: FakeKraken) -> None:
    """That they have left is in doubt for a quarter of an hour. Either they have, or the account lost a third."""
    move(kraken, XETH="-2")
    account.run("tick")
    kraken.set_price("ETH/USD", 1000)

    doubted = account.run("tick")
    with later(minutes=17):
        believed = drawdown(account)

    assert "so the drawdown is unknown: 0 ETH are there, and 2 are expected" in doubted.stderr
    assert (doubted.exit_code, believed) == (69, 0)


@pytest.mark.sqlite("it writes what a server's types refuse")
def test_a_balance_without_the_coins_of_a_trade_that_cannot_be_read_is_no_loss_and_no_withdrawal(
    live: BotRunner, kraken: FakeKraken
) -> None:
    live.set(INITIAL_BALANCE="10000")
    council_says(live, "HOLD")
    buy(live, amount="3000")
    live.run("tick")
    amount = trade_of(live)["amount"]
    live.execute("UPDATE trade SET amount = 'abc'")
    kraken.account.false_balances["XXBT"] = Decimal(0)

    for minutes in (0, 17):
        with later(minutes=minutes):
            live.run("tick")
    kraken.account.false_balances.clear()
    live.execute(f"UPDATE trade SET amount = '{amount}'")
    for minutes in (18, 35):
        with later(minutes=minutes):
            live.run("tick")

    assert trade_of(live)["status"] == "OPEN"
    assert flows(live) == []


# From the peak


@pytest.mark.long
@quick.parametrize("change", ["-4800", "-4"], quick=1)
def test_beside_a_trade_that_cannot_be_read_no_flow_moves_the_base_twice(
    account: BotRunner, kraken: FakeKraken, change: str
) -> None:
    """A withdrawal that is in doubt at first, and one so small that it is none."""
    if change == "-4800":
        move(kraken, ZUSD=change)
        account.run("tick")
    amount = trade_of(account)["amount"]
    account.execute("UPDATE trade SET amount = 'abc'")
    if change == "-4":
        move(kraken, ZUSD=change)

    for minutes in (16, 17, 18):
        with later(minutes=minutes):
            account.run("tick")
    account.execute(f"UPDATE trade SET amount = '{amount}'")
    with later(minutes=19):
        account.run("tick")
        base = account.json("drawdown")["base"]

    assert len(flows(account)) == 1
    assert float(base) == pytest.approx(10000 + float(change), abs=2)


def test_a_fall_from_the_peak_trips_the_guard_that_has_such_a_limit(account: BotRunner, kraken: FakeKraken) -> None:
    move(kraken, XETH="2")
    account.run("tick")
    with later(minutes=16):
        before = drawdown(account)
        for price in (3000, 4000):  # a peak is believed at the second look that sees its price
            for _ in range(2):
                kraken.set_price("ETH/USD", price)
                account.run("tick")
        kraken.set_price("ETH/USD", 2700)
        without = account.run("tick")
        status = account.json("status")
        account.set(MAX_DRAWDOWN_PEAK="0.2")
        run = account.run("tick")

    assert without.exit_code == 0, output_of(without)
    assert round(Decimal(status["drawdown"]), 3) < before
    assert 0.24 < float(status["drawdown_peak"]) < 0.26
    assert run.exit_code == 3, output_of(run)
    assert "below its peak of" in run.stderr


def test_a_price_that_was_seen_once_is_no_peak(account: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("ETH/USD", 3100)
    account.run("tick")
    kraken.set_price("ETH/USD", 2500)
    account.run("tick")

    assert float(account.json("status")["drawdown_peak"]) < 0.02


# After the run's own trades


@quick.parametrize("decision", ["BUY", "SELL"], quick=1)
def test_the_equity_of_a_tick_is_that_after_its_own_trades(live: BotRunner, decision: str) -> None:
    live.set(SYMBOLS="BTC/USD" if decision == "SELL" else "ETH/USD", INITIAL_BALANCE="10000")
    buy(live)
    council_says(live, decision)

    told = live.run("tick", "--json").json()

    assert len(told["entries"] + told["exits"]) == 1
    assert Decimal(told["equity"]) == sum(Decimal(row["value"]) for row in live.json("balance"))
    assert Decimal(told["drawdown"]) == 1 - Decimal(told["equity"]) / 10000


@pytest.mark.long
def test_what_a_stop_sells_after_the_look_of_its_tick_is_no_flow(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(INITIAL_BALANCE="10000")
    council_says(live, "HOLD")
    live.run("tick")
    buy(live)
    kraken.set_price("BTC/USD", Decimal(48000))

    assert live.run("tick").exit_code == 0
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    with later(minutes=1):
        assert live.run("tick").exit_code == 0
    with later(minutes=17):
        assert live.run("tick").exit_code == 0

    assert flows(live) == []


def test_coins_that_leave_before_any_look_has_valued_them_are_no_loss(live: BotRunner, kraken: FakeKraken) -> None:
    """Their market went before they did: they count at their entry, as what has left and as what was there."""
    live.set(INITIAL_BALANCE="10000", SYMBOLS="ETH/USD")
    council_says(live, "HOLD")
    live.run("tick")
    live.set(SYMBOLS="BTC/USD")
    buy(live, amount="3000")
    live.run("forget", str(trade_of(live)["id"]), "--yes")
    kraken.balances["XXBT"] = Decimal(0)
    kraken.markets.remove("BTC/USD")
    live.set(SYMBOLS="ETH/USD")

    for minutes in (0, 16, 17):
        with later(minutes=minutes):
            assert drawdown(live) < Decimal("0.01")
    assert len(flows(live)) == 1


@quick.parametrize(("command", "valued_before"), [("tick", True), ("drawdown", False)], quick=1)
def test_coins_that_left_the_account_move_the_base_by_their_price_of_now(
    live: BotRunner, kraken: FakeKraken, command: str, valued_before: bool
) -> None:
    """Neither a trade, nor a balance, nor a Council names their market any more."""
    live.set(INITIAL_BALANCE="10000")
    council_says(live, "HOLD")
    live.run("tick")
    buy(live, amount="3000")
    if valued_before:
        live.run("tick")
    live.run("pause")
    live.run("forget", str(trade_of(live)["id"]), "--yes")
    kraken.balances["XXBT"] = Decimal(0)
    kraken.set_price("BTC/USD", 60000)

    found = []
    for minutes in (1, 17, 33):
        with later(minutes=minutes):
            found.append(round(Decimal(live.run(command, "--json").json()["drawdown"]), 3))

    assert found == [Decimal("-0.058")] * 3  # a gain of 600 less a fee of 24


# What is told of them


@pytest.mark.long
def test_a_report_lists_what_came_and_went_and_counts_it_as_no_loss(account: BotRunner, kraken: FakeKraken) -> None:
    """A withdrawal of half, a true loss of some per cent, and a deposit."""
    account.run("tick")
    for minutes, changes in ((20, {"ZUSD": "-4800"}), (60, {}), (80, {"ZUSD": "9000"})):
        with later(minutes=minutes):
            if not changes:
                kraken.set_price("ETH/USD", 2400)
            move(kraken, **changes)
            account.run("tick")
        with later(minutes=minutes + 16):
            account.run("tick")
            drawn = Decimal(account.json("status")["drawdown"])

    page = read_page(account.json("report")["file"])
    equity, performance, *_ = (line["y"] for line in page.charts["equity"]["data"])
    log = account.run("log").stdout

    assert drawn > Decimal("0.03")
    assert min(page.charts["drawdown"]["data"][0]["y"]) == pytest.approx(-100 * float(drawn), abs=0.2)
    assert min(equity) < 6000 < 13000 < equity[-1]
    assert performance[-1] == pytest.approx(10000 * (1 - float(drawn)))
    assert max(performance) - min(performance) < 500
    assert f"<dt>return</dt><dd>{-100 * drawn:.2f} %</dd>" in page.text
    listed = [(row["currency"], Decimal(row["amount"])) for row in page.tables["Deposits and withdrawals"]]
    assert listed == [("USD", 9000), ("USD", -4800)]
    assert "4800 USD left the account" in log
    assert "9000 USD came into the account" in log
