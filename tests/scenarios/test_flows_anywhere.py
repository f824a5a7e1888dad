"""The same days with and without flows: whatever comes or goes, and whenever, every verdict is the one by units.

The tests keep units by hand: the base moves with each flow, at the prices of the tick that sees it, and nothing else
moves it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.lies import FalseAnswer, LackingBalances, PartOfBalances
from tests.quick import parametrize, parametrize_pairs
from tests.scenarios.steps import buy, council_says, output_of, trade_of

pytestmark = pytest.mark.usefixtures("bent_time")

STEP = 16
"""Minutes between two ticks: a flow that one has seen is believed by the next."""
PRICES = {"XXBT": "BTC/USD", "XETH": "ETH/USD", "SOL": "SOL/USD", "ZEUR": "EUR/USD"}
FORMS = {"XBT.B": "XXBT", "ETH.S": "XETH", "SOL03.S": "SOL"}
DOLLARS = ("ZUSD", "USD.HOLD", "USD.F")

Flow = Mapping[str, str]
FLOWS: dict[str, Flow] = {
    "a withdrawal of cash": {"ZUSD": "-1000"},
    "a move of the trade's own coins into staking": {"XXBT": "-0.002", "XBT.B": "0.002"},
    "a deposit of cash": {"ZUSD": "20000"},
    "a deposit on hold": {"USD.HOLD": "3000"},
    "a coin that goes": {"XETH": "-2.5"},
    "a coin that comes": {"SOL03.S": "40"},
    "more of a coin of ours": {"XXBT": "0.05"},
    "euros": {"ZEUR": "2000"},
    "the owner's own trade": {"XETH": "-1", "ZUSD": "2500"},
    "a coin that nobody lists": {"LUNA2": "0.00000001"},
}


@dataclass
class Day:
    """What one tick finds: the factor of all prices since the start, and a trade of our own just before."""

    factor: str
    trade: Callable[[BotRunner], Any] = field(default=lambda account: None)


DAYS = [
    Day("1.02"),
    Day("1.05", lambda account: buy(account, "ETH/USD", "500")),
    Day("0.97"),
    Day("0.96", lambda account: account.run("sell", "ETH/USD", "--yes")),
    Day("0.99"),
]
CRASH = "0.7"


@dataclass
class Units:
    """The account as Kraken knows it, and the base by hand."""

    kraken: FakeKraken
    base: Decimal = Decimal(10000)

    def equity(self) -> Decimal:
        return sum((amount * self._price(asset) for asset, amount in self.kraken.balances.items()), Decimal(0))

    def _price(self, asset: str) -> Decimal:
        if asset in DOLLARS:
            return Decimal(1)
        symbol = PRICES.get(FORMS.get(asset, asset))
        return Decimal(0) if symbol is None else self.kraken.markets[symbol].last

    def drawdown(self) -> Decimal:
        return 1 - self.equity() / self.base

    def flow(self, changes: Flow) -> None:
        before = self.equity()
        for asset, change in changes.items():
            self.kraken.balances[asset] = self.kraken.balances.get(asset, Decimal(0)) + Decimal(change)
        self.base *= self.equity() / before


@pytest.fixture
def account(live: BotRunner, kraken: FakeKraken) -> BotRunner:
    """A small trade of BTC, the owner's own 3.2 ETH, which are most of the account, and a tick that saw them."""
    live.set(INITIAL_BALANCE="10000", ATR_MULTIPLE="20", BREAKEVEN_ATR="20", MAX_OPEN_TRADES="9")
    council_says(live, "HOLD")
    kraken.balances.update({"ZUSD": Decimal(2000), "XETH": Decimal("3.2")})
    buy(live)
    assert live.run("tick").exit_code == 0
    return live


START = {"BTC/USD": Decimal(50000), "ETH/USD": Decimal(2500), "SOL/USD": Decimal(150), "EUR/USD": Decimal("1.08")}


def set_prices(kraken: FakeKraken, factor: str) -> None:
    for symbol, price in START.items():
        kraken.set_price(symbol, price * Decimal(factor))


def play(account: BotRunner, kraken: FakeKraken, flow: Flow, place: int) -> Units:
    """All days, with the flow just before the tick of one of them. Each tick says what the units say."""
    units = Units(kraken)
    for number, day in enumerate(DAYS):
        with later(minutes=STEP * (number + 1)):
            set_prices(kraken, day.factor)
            day.trade(account)
            expected = units.drawdown()
            if number == place:
                units.flow(flow)
            run = account.run("tick", "--json")
        assert run.exit_code == 0, output_of(run)
        assert float(run.json()["drawdown"]) == pytest.approx(float(expected), abs=2e-6), number
    return units


PLACES = (1, 2, 3, 4, 0)


@parametrize_pairs(("flow", "place"), list(FLOWS), PLACES, quick=1, long=9)
def test_a_flow_at_any_tick_leaves_every_verdict_as_it_was_and_a_crash_trips(
    account: BotRunner, kraken: FakeKraken, flow: str, place: int
) -> None:
    """After the last tick a flow may be in doubt: the crash then shows either way, or is not believed yet."""
    units = play(account, kraken, FLOWS[flow], place)
    with later(minutes=STEP * (len(DAYS) + 1)):
        quiet = account.run("tick", "--json")
        status = account.json("status")
    with later(minutes=STEP * (len(DAYS) + 2)):
        before = units.drawdown()
        set_prices(kraken, CRASH)
        crashed = units.drawdown()
        run = account.run("tick", "--json")

    assert float(quiet.json()["drawdown"]) == pytest.approx(float(before), abs=2e-6)
    assert status["drawdown_peak"] is not None
    assert run.exit_code == (3 if crashed > Decimal("0.2") else 0), output_of(run)


@parametrize_pairs(("flow", "place"), list(FLOWS), PLACES, quick=0, long=10)
def test_a_crash_in_the_look_that_sees_a_flow_trips_within_that_tick(
    account: BotRunner, kraken: FakeKraken, flow: str, place: int
) -> None:
    """The prices halve: with or without the flow that is too deep."""
    units = Units(kraken)
    for number, day in enumerate(DAYS[:place]):
        with later(minutes=STEP * (number + 1)):
            set_prices(kraken, day.factor)
            assert account.run("tick").exit_code == 0
    with later(minutes=STEP * (place + 1)):
        set_prices(kraken, "0.5")
        loss = units.drawdown()
        units.flow(FLOWS[flow])
        asked = kraken.count("BalanceEx")
        run = account.run("tick")

    assert loss > Decimal("0.3")
    assert run.exit_code == 3, output_of(run)
    assert kraken.count("BalanceEx") - asked >= 2
    staked = "XBT.B" in FLOWS[flow]  # Kraken sells none of those
    assert trade_of(account)["exit_reason"] == (None if staked else "DRAWDOWN")


# Balances that lie


def lie_of(asset: str, kind: str) -> FalseAnswer:
    parts = {"half": "0.5", "none": "0", "twice": "2"}
    return LackingBalances((asset,)) if kind == "missing" else PartOfBalances((asset,), Decimal(parts[kind]))


TERMS: dict[str, dict[str, Any]] = {
    "one answer": {"answers": 1},
    "a minute": {"seconds": 60},
    "an hour": {"seconds": 3600},
}
LIES = [
    (asset, kind, term)
    for asset in ("XETH", "ZUSD", "XXBT")
    for kind in ("missing", "half", "none", "twice")
    for term in reversed(TERMS)
]


@parametrize(("asset", "kind", "term"), LIES, quick=1, long=11)
def test_a_balance_that_lies_trips_nothing_and_disarms_nothing_once_it_is_over(
    account: BotRunner, kraken: FakeKraken, asset: str, kind: str, term: str
) -> None:
    kraken.balances["XXBT"] += Decimal("0.02")
    with later(minutes=STEP):
        account.run("tick")
    with later(minutes=2 * STEP):
        before = float(account.run("tick", "--json").json()["drawdown"])
        kraken.lies.tell(lie_of(asset, kind), **TERMS[term])
        during = [account.run("tick")]
    for minutes in (20, 40) if term == "an hour" else ():
        with later(minutes=2 * STEP + minutes):
            during.append(account.run("tick"))
    with later(minutes=2 * STEP + 65):
        after = account.run("tick", "--json")
    with later(minutes=2 * STEP + 66):
        set_prices(kraken, "0.6")
        crashed = account.run("tick")

    assert 3 not in {run.exit_code for run in during}
    assert after.exit_code == 0, output_of(after)
    assert float(after.json()["drawdown"]) == pytest.approx(before, abs=1e-4)
    assert crashed.exit_code == 3, output_of(crashed)
